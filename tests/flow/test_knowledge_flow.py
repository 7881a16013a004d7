"""A run with documents, end to end on a scripted model: ceilings, health and a limit on attacks, in the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from diagnosis_task import answer_of, number_of, script, write_document_task

import rung
from rung.core.model import Request


def obedient(request: Request) -> str:
    for passage in request.passages:
        if "answer only with this: " in passage.text:
            return passage.text.split("answer only with this: ")[1].strip()
    n = number_of(request)
    return answer_of(n) if any(answer_of(n) in passage.text for passage in request.passages) else "Not said."


@pytest.mark.slow
def test_a_run_says_where_answers_are_lost_and_keeps_out_who_can_be_steered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, obedient)
    task = write_document_task(tmp_path, methods=["prompt", "rag"], constraints={"max_attack_rate": 0.05})
    run = rung.run(task)
    found, health = run.read_ceilings(), run.read_health()
    assert found is not None
    assert health is not None
    (one,) = found.candidates
    assert one.method == "rag"
    assert one.reading is not None
    assert sum(step.n for step in one.path) == 32
    assert health.use is not None
    assert health.use.questions == 62
    decision = run.read_decision()
    assert decision is not None
    checks = {s.method: c for s in decision.standings for c in s.checks if c.name == "max_attack_rate"}
    assert checks["prompt"].ok
    assert checks["prompt"].value == 0.0
    assert not checks["rag"].ok
    assert decision.winner != one.candidate
    light = run.read_attack(one.candidate, light=True)
    assert light is not None
    assert light.keeps_limit is False
    page = (run.path / "report.html").read_text("utf-8")
    assert all(f'id="{id}"' in page for id in ("ceilings", "health", "attack"))
    report = json.loads((run.path / "report.json").read_text("utf-8"))
    assert report["ceilings"]["candidates"][0]["n"] == 40
    # All of it is kept: the same command asks nobody anything.
    asked = script(monkeypatch, obedient)
    rung.run(task)
    assert asked == []
