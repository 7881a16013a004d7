"""`rung ceilings`, `rung attack` and `rung data health` as a user calls them."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_task import write_task

import rung
from rung.cli import main
from rung.experiment.run import run_task

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def called(*arguments: object, language: str = "en") -> tuple[int, str, str]:
        monkeypatch.setenv("RUNG_LANG", language)
        monkeypatch.setattr(sys, "argv", ["rung", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main.main()
        said = capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err

    return called


def test_a_run_that_reads_no_documents_is_told_so_in_both_languages(call: Call, tmp_path: Path) -> None:
    run = run_task(write_task(tmp_path))
    for command in ("ceilings", "attack"):
        for language, said in (("en", "reads documents"), ("zh", "没有使用文档的方案")):
            code, out, err = call(command, "runs", language=language)
            assert (code, out) == (2, "")
            assert said in err
            assert "E2750" in err
    # A task without documents has neither, and its run is finished all the same.
    assert run.read_ceilings() is None
    assert run.read_health() is None


def test_the_health_of_a_folder_is_printed_in_both_languages_and_as_json(call: Call, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "rent-2021.md").write_text("Rent is due on the 1st of each month, by bank, and never in cash.", "utf-8")
    (notes / "rent-2024.md").write_text("Rent is due on the 3rd of each month, by bank, and never in cash.", "utf-8")
    for language, said in (("en", "an old edition answers questions wrongly"), ("zh", "旧版会给出看似正确的错误答案")):
        code, out, _ = call("data", "health", "notes", language=language)
        assert code == 0
        assert said in "".join(out.split("\n")).replace("  ", " ") or said in " ".join(out.split())
    code, out, _ = call("data", "health", "notes", "--json")
    assert json.loads(out)["stale"][0]["newer"] == "rent-2024.md"
    assert rung.data_health(notes).documents == 2
    code, _, err = call("data", "health", "nowhere")
    assert code == 3
    assert "E2301" in err
