"""From task.yaml to an answer, on the embedded model: what a user does, made small."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_desk import small_project

from rung.cli import commands
from rung.core.errors import InterruptedRun
from rung.store.runs import RunFolder

TASK = """
name: small
instruction: You answer tenants' questions for the advice desk of Harrow Vale.
inputs: [question]
output: {kind: text, column: answer, max_tokens: 8, abstain: Not in the guidance.}
data: {examples: questions.csv, id: id, group: group, document: document}
documents: documents
metrics: [token_f1, exact_match]
methods: [baseline, prompt, rag, rag+fine_tune]
settings:
  rag+fine_tune: {max_steps: 2, evaluations: 1, k: 1}
"""
LABELS = """
name: small-labels
instruction: Name the topic of a tenant's question.
inputs: [question]
output: {kind: label, column: topic}
data: {examples: questions.csv, id: id, group: group}
methods: [baseline, few_shot, few_shot+fine_tune]
settings:
  few_shot+fine_tune: {max_steps: 2, evaluations: 1, k: 2}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return commands.run(small_project(tmp_path_factory.mktemp("desk"), TASK))


def test_every_rung_ends_in_a_candidate_that_was_evaluated(finished: RunFolder) -> None:
    outcomes = finished.outcomes()
    assert {outcome.status for outcome in outcomes} == {"done"}, [(o.cell.name, o.reason) for o in outcomes]
    for outcome in outcomes:
        for split in ("dev", "test"):
            evaluation = finished.read_evaluation(outcome.candidate, split)
            assert evaluation is not None
            for summary in evaluation.summaries.values():
                assert summary.scored + summary.failed + summary.unscored == summary.n == len(evaluation.rows)


def test_the_decision_stands_on_one_opening_of_test_for_each_candidate(finished: RunFolder) -> None:
    decision = finished.read_decision()
    assert decision is not None
    assert sorted(s.candidate for s in decision.standings) == sorted(o.candidate for o in finished.openings())
    assert decision.reason.en
    assert decision.reason.zh


def test_rungs_with_documents_cite_only_what_they_were_shown(finished: RunFolder) -> None:
    shown = 0
    for outcome in finished.outcomes():
        evaluation = finished.read_evaluation(outcome.candidate, "test")
        assert evaluation is not None
        for row in evaluation.rows:
            assert set(row.answer.citations) <= set(row.answer.passages)
            shown += bool(row.answer.passages)
    assert shown


def test_the_same_command_redoes_nothing(finished: RunFolder) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.path.rglob("evaluations/*")}
    started = time.perf_counter()
    again = commands.run(finished.path.parents[1] / "task.yaml")
    assert again.path == finished.path
    assert {p: p.stat().st_mtime_ns for p in finished.path.rglob("evaluations/*")} == before
    assert time.perf_counter() - started < 60


def test_reports_are_whole_in_both_languages(finished: RunFolder) -> None:
    for language in ("en", "zh"):
        paths = commands.report(finished.path, language=language)  # type: ignore[arg-type]
        html = paths["html"].read_text("utf-8")
        assert "<script" not in html
        assert "rag+fine_tune" in paths["md"].read_text("utf-8") or "rag+fine_tune" in html
        assert json.loads(paths["json"].read_text("utf-8"))


def test_asking_answers_as_the_evaluation_did(finished: RunFolder) -> None:
    tuned = next(o.candidate for o in finished.outcomes() if o.cell.method == "rag+fine_tune")
    evaluation = finished.read_evaluation(tuned, "test")
    assert evaluation is not None
    examples = [json.loads(line) for line in (finished.path / "examples.jsonl").read_text("utf-8").splitlines()]
    row = evaluation.rows[0]
    question = next(e for e in examples if e["id"] == row.answer.example)["inputs"]
    answer = commands.ask(question, run=finished.path, candidate=tuned)
    # bf16 may break a tie differently alone than in a batch; what is shown to the model may not differ at all.
    assert answer.passages == row.answer.passages
    assert answer.tokens_in == row.answer.tokens_in


def test_a_label_task_is_answered_with_labels_and_confidence(tmp_path: Path) -> None:
    run = commands.run(small_project(tmp_path, LABELS, documents=6))
    plan, decision = run.read_plan(), run.read_decision()
    assert plan is not None
    assert decision is not None
    labels = set(run.read_run()["task"]["output"]["labels"])
    for outcome in run.outcomes():
        assert outcome.status == "done", outcome.reason
        evaluation = run.read_evaluation(outcome.candidate, "test")
        assert evaluation is not None
        assert {row.answer.text for row in evaluation.rows} <= labels
        assert all(row.answer.confidence is not None for row in evaluation.rows)


@pytest.mark.slow
def test_a_run_killed_in_training_goes_on_and_finishes(tmp_path: Path) -> None:
    task = small_project(tmp_path, TASK.replace("max_steps: 2, evaluations: 1}", "max_steps: 6, evaluations: 6}"))
    command = [sys.executable, "-c", "from rung.cli.main import main; main()", "run", str(task)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 400
    while not list(tmp_path.rglob("checkpoints/step-*/MANIFEST.json")) and time.monotonic() < deadline:
        assert child.poll() is None, "the run ended before it could be killed"
        time.sleep(0.2)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    run = commands.run(task)
    assert {outcome.status for outcome in run.outcomes()} == {"done"}
    openings = run.openings()
    assert len(openings) == len({opening.candidate for opening in openings})


def test_a_second_process_on_the_same_run_is_refused(finished: RunFolder) -> None:
    from rung.core.lock import folder_lock

    with folder_lock(finished.path), pytest.raises(InterruptedRun) as refused:
        commands.run(finished.path.parents[1] / "task.yaml")
    assert refused.value.code == "E4002"
    assert str(os.getpid()) in str(refused.value)
