"""The child that llama.cpp lives in: what reaches the parent when it cannot open a file, or dies."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rung.core.errors import BackendError
from rung.core.model import Message, Request
from rung.models import llama_cpp_engine, llama_cpp_local
from rung.models.llama_cpp_local import LlamaCppModel

ASKED = Request(messages=(Message("user", "the rent 租金 \U0001f3e0\n"),), max_tokens=2)
_CHILD = """#!{python}
import json, os, signal, sys
print(json.dumps({hello}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if {dies}:
        os.kill(os.getpid(), signal.SIGILL)
    print(json.dumps(dict(text=asked["messages"][0][1])), flush=True)
"""


def child(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, hello: str = "dict(version='1', context=64)", dies: str = "False"
) -> None:
    script = folder / "child"
    script.write_text(_CHILD.format(python=sys.executable, hello=hello, dies=dies), "utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(llama_cpp_local.sys, "executable", str(script))


def test_a_request_reaches_the_child_and_its_answer_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(tmp_path, monkeypatch)
    model = LlamaCppModel(tmp_path / "m.gguf")
    assert [answer.text for answer in model.generate([ASKED, ASKED])] == [ASKED.messages[0].text] * 2
    assert model.capabilities.context_tokens == 64
    model.release()
    assert model.generate([ASKED])[0].served_by == "m.gguf"
    model.release()


def test_a_child_that_dies_is_started_again_with_plain_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(tmp_path, monkeypatch, dies="sys.argv[-1] != 'plain'")
    model = LlamaCppModel(tmp_path / "m.gguf")
    assert model.generate([ASKED])[0].text == ASKED.messages[0].text
    model.release()


def test_a_child_that_dies_again_is_an_error_with_its_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(tmp_path, monkeypatch, dies="True")
    model = LlamaCppModel(tmp_path / "m.gguf")
    with pytest.raises(BackendError, match="signal 4") as caught:
        model.generate([ASKED])
    assert caught.value.code == "E3049"


def test_a_file_that_cannot_be_opened_is_an_error_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(tmp_path, monkeypatch, hello="dict(error='no such tensor')")
    with pytest.raises(BackendError, match="no such tensor") as caught:
        LlamaCppModel(tmp_path / "m.gguf")
    assert caught.value.code == "E3048"


def test_llama_cpp_takes_no_more_threads_than_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert llama_cpp_engine._threads() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "100000")
    there = llama_cpp_engine._threads()
    assert there < 100000
    for said in ("", "0", "two"):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert llama_cpp_engine._threads() == there
