"""A whole run with probes: a rung without headroom is skipped, says why in both languages, and is not probed twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from letters import LETTERS, register_letters
from small_task import LABELS, QUESTIONS, Asked, count_asked, write_task

from rung.experiment.run import run_task
from rung.reporting.build import build_report

STUBBORN = {"kind": "fake", "id": "stubborn", "options": {"answers": {}, "default": LABELS[0]}}
HEARS = {"kind": "fake", "id": "hears", "options": {"answers": {q: LABELS[i % 3] for i, q in enumerate(QUESTIONS)}}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    register_letters(monkeypatch)
    return count_asked(monkeypatch)


def task(folder: Path, **changes: Any) -> Path:
    given: dict[str, Any] = {"models": [STUBBORN], "methods": ["prompt", "optimise_prompt"], "encoder": LETTERS}
    return write_task(folder, **(given | changes))


def test_a_rung_without_headroom_is_skipped_and_says_what_was_seen(tmp_path: Path, asked: Asked) -> None:
    path = task(tmp_path)
    run = run_task(path)
    plain, optimised = run.outcomes()
    assert (plain.status, optimised.status) == ("done", "skipped")
    assert optimised.notes["headroom"]["status"] == "none"
    assert "No headroom seen" in optimised.why("en")
    assert "未见提升空间" in optimised.why("zh")
    assert "worse" not in optimised.why("en")
    decision = run.read_decision()
    assert decision is not None
    assert [standing.method for standing in decision.standings] == ["prompt"]
    for language in ("en", "zh"):
        page = build_report(run, language=language)["html"].read_text("utf-8")  # type: ignore[arg-type]
        assert ("No headroom seen" if language == "en" else "未见提升空间") in page
    asked.clear()
    run_task(path)
    assert asked.batches == []


def test_without_probes_every_rung_is_run_even_one_that_was_skipped(tmp_path: Path, asked: Asked) -> None:
    run_task(task(tmp_path))
    run = run_task(task(tmp_path, budget={"probe": False}))
    assert [outcome.status for outcome in run.outcomes()] == ["done", "done"]


def test_a_rung_with_headroom_says_so_and_is_run(tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.methods.headroom import Headroom
    from rung.methods.optimise_prompt import OptimisePrompt

    values = {"settings": "4", "n": "12", "changed": "3", "plain": "0.50", "best": "0.75"}
    seen = Headroom("headroom", "E4511", values)
    monkeypatch.setattr(OptimisePrompt, "probe", lambda *_: seen)
    run = run_task(task(tmp_path, models=[HEARS]))
    outcome = run.outcomes()[1]
    assert outcome.status == "done"
    assert outcome.notes["headroom"] == {"status": "headroom", "code": "E4511", "values": values}
    page = build_report(run, language="en")["html"].read_text("utf-8")
    assert "Headroom seen: 4 prompts scored differently on 3 of 12 dev questions" in page


def test_a_probe_is_told_the_best_dev_score_so_far(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rung.methods.optimise_prompt import OptimisePrompt

    told: list[Any] = []
    monkeypatch.setattr(OptimisePrompt, "probe", lambda self, fit, model, budget, best: told.append(best))
    run = run_task(task(tmp_path, models=[HEARS]))
    assert told == [1.0]
    assert "headroom" not in run.outcomes()[1].notes
