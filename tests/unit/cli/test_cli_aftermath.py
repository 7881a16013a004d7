"""`rung aftermath` as a user calls it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_task import write_task

import rung
from rung.cli import main
from rung.experiment.aftermath.measure import Effort
from rung.experiment.run import run_task
from rung.store.aftermath import Aftermath, Overfitting
from rung.store.records import Interval

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


def test_a_run_without_a_tuned_candidate_is_told_so_in_both_languages(call: Call, tmp_path: Path) -> None:
    run_task(write_task(tmp_path))
    for language, said in (("en", "No candidate of the run"), ("zh", "没有经过微调的方案")):
        code, out, err = call("aftermath", "runs", language=language)
        assert (code, out) == (2, "")
        assert said in err
        assert "E4700" in err


def test_what_was_measured_is_printed_and_reported(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_task(write_task(tmp_path))
    (name,) = run.candidates()
    efforts: list[Effort] = []
    half = Interval(point=0.3, low=0.2, high=0.4)

    def measured(source: Path, *, effort: Effort, **_: Any) -> Aftermath:
        efforts.append(effort)
        found = Aftermath(
            candidate=name, method="prompt", model="m", metric="accuracy", language="zh", margin=0.02, seed=0,
            questions_hash="x",
            overfitting=Overfitting(n_train=9, n_dev=9, train=half, dev=half, gap=half, alarm="strong"),
        )  # fmt: skip
        run.write_aftermath(found)
        return found

    monkeypatch.setattr("rung.experiment.aftermath.measure.measure_run", measured)
    code, out, _ = call("aftermath", run.path, "--general", 40, "--rows", 7)
    assert code == 0
    assert "强警报" in out
    assert efforts == [Effort(general=40, rows=7, train=150)]
    code, out, _ = call("aftermath", run.path, "--json")
    assert json.loads(out)["overfitting"]["alarm"] == "strong"
    assert "A strong alarm" in (run.path / "report.md").read_text("utf-8")
    assert rung.aftermath(run.path).candidate == name
