"""`rung diagnose` and `rung stability` as a user calls them."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from diagnosis_task import lacks, script, write_document_task
from small_task import write_task

import rung
from rung.cli import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    monkeypatch.setenv("RUNG_LANG", "en")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def called(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rung", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main.main()
        said = capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err

    return called


def test_diagnose_prints_the_axis_and_json_prints_the_record(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, lacks(knowledge=True))
    task = write_document_task(tmp_path)
    code, out, _ = call("diagnose", task)
    assert code == 0
    assert "Knowledge is missing" in out
    assert "rag" in out
    code, out, _ = call("diagnose", task, "--lang", "zh")
    assert "缺的是知识" in out
    code, out, _ = call("diagnose", task, "--json")
    assert json.loads(out)["axis"] == "context"
    assert rung.diagnose(task).axis == "context"


def test_stability_of_the_newest_run_and_its_report(call: Call, tmp_path: Path) -> None:
    task = write_task(tmp_path)
    code, _, err = call("stability")
    assert (code, "E1301" in err) == (2, True)
    assert call("run", task)[0] == 0
    code, out, err = call("stability", "--questions", 4, "--repeats", 2)
    assert code == 0, err
    assert "Does the answer stay the same?" in out
    report = next(tmp_path.glob("runs/*/report.html")).read_text("utf-8")
    assert 'id="stability"' in report
    code, out, _ = call("stability", "--questions", 4, "--json")
    assert json.loads(out)["n"] == 4


def test_a_users_mistakes(call: Call, tmp_path: Path) -> None:
    task = write_task(tmp_path)
    code, out, err = call("diagnose", task, "--model", "nobody")
    assert (code, out) == (2, "")
    assert "[E4206]" in err
    assert "hint: models of this task: careful" in err
    code, _, err = call("diagnose", "nowhere.yaml")
    assert (code, "E1201" in err) == (2, True)


def test_without_a_language_the_task_s_own_is_spoken(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as scripted:
        script(scripted, lacks(knowledge=True))
        task = write_document_task(tmp_path, language="zh")
        assert "缺的是知识" in call("diagnose", task)[1]
    task = write_task(tmp_path / "labels", language="zh")
    assert call("run", task)[0] == 0
    code, out, err = call("stability", tmp_path / "labels" / "runs", "--questions", 4, "--repeats", 2)
    assert code == 0, err
    assert "换种问法" in out
