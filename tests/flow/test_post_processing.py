"""Post-processing of task.yaml in a whole run: every method's candidate carries it, scores do not see what is for readers."""

from __future__ import annotations

from pathlib import Path

from small_task import LABELS, scripted, write_task

import rung

CODES = {"deposit": "D-1", "repairs": "R-1", "rent": "R-2"}


def test_codes_are_shown_and_labels_are_scored_by_every_method(tmp_path: Path) -> None:
    output = {"kind": "label", "column": "topic", "labels": list(LABELS)}
    output |= {"shown": [{"name": "label_map", "mapping": CODES}]}
    run = rung.run(write_task(tmp_path, models=[scripted("careful")], output=output, methods=["baseline", "prompt"]))
    assert len(run.candidates()) == 2
    for name in run.candidates():
        assert [step.name for step in run.read_candidate(name).output.shown] == ["label_map"]
        found = run.read_evaluation(name, "test")
        assert found is not None
        assert {row.answer.shown for row in found.rows} <= set(CODES.values())
        assert all(row.answer.shown == CODES[row.answer.text] for row in found.rows)
        assert found.summaries["accuracy"].scored == found.header.n
    answer = rung.ask("Question 3 about the deposit", run=run.path)
    assert (answer.text, answer.reads) == ("deposit", "D-1")


def test_a_guard_that_refuses_costs_in_the_evaluation_what_it_costs_in_use(tmp_path: Path) -> None:
    output = {"kind": "label", "column": "topic", "labels": list(LABELS)}
    output |= {"steps": [{"name": "forbidden", "terms": ["rent"]}], "safe_message": "Please call us."}
    run = rung.run(write_task(tmp_path, models=[scripted("careful")], output=output))
    (name,) = run.candidates()
    found = run.read_evaluation(name, "test")
    assert found is not None
    refused = [row.answer for row in found.rows if row.answer.failure]
    assert found.summaries["accuracy"].failed == len(refused) > 0
    assert {answer.failure.kind for answer in refused if answer.failure} == {"content_filter"}
    assert {answer.reads for answer in refused} == {"Please call us."}
    decision = run.read_decision()
    assert decision is not None
    assert decision.winner is None, "too many questions end without an answer"
