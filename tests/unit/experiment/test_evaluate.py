"""Answering a split: counted, kept on disk as it goes, resumed where it stopped, and every opening of test on record."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rung.core.answer import Opened
from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.errors import BackendError, DataError, WriteError
from rung.core.evaluation import Evaluation
from rung.core.model import Completion, Failure, ModelRef
from rung.core.task import Example, OutputSpec, Split, Task
from rung.experiment import evaluate as evaluating
from rung.experiment.evaluate import Question, evaluate
from rung.metrics.labels import Accuracy, MacroF1
from rung.models.fake import FakeModel
from rung.store.runs import RunFolder

LABELS = ("rent", "keys", "repairs")
TASK = Task(
    name="t",
    instruction="i",
    inputs=("q",),
    output=OutputSpec(kind="label", labels=LABELS),
    metrics=("accuracy", "macro_f1"),
)
METRICS = (Accuracy(task=TASK), MacroF1(task=TASK))
EXAMPLES = tuple(Example(f"e{n:02}", {"q": f"问 {n}"}, (LABELS[n % 3],), f"g{n // 4}") for n in range(20))
SCRIPT: dict[str, str | Completion | Failure] = {
    e.text: Failure("refused") if n in (4, 17) else LABELS[n // 2 % 3] for n, e in enumerate(EXAMPLES)
}


class Reading:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[float, float]] = []

    def update(self, done: float, total: float, note: str = "") -> None:
        self.told.append((done, total))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "CHUNK", 4)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def model(faults: Mapping[int, Failure | BaseException] | None = None, script: Any = SCRIPT) -> FakeModel:
    return FakeModel(script, faults=faults)


def question(
    asked: FakeModel,
    split: str = "test",
    *,
    examples: Sequence[Example] = EXAMPLES,
    hash: str = "h1",
    copied: frozenset[str] = frozenset(),
) -> Question:
    candidate = Candidate(
        method="prompt",
        model=ModelRef(kind="fake", id="m"),
        prompt=PromptSlot(instruction="i", fields=("q",)),
        output=OutputSlot(choices=LABELS, constrain=True),
    )
    frozen = Split.model_validate({"name": split, "ids": tuple(e.id for e in examples), "hash": hash})
    return Question("prompt-1", "prompt", Opened(candidate, asked), frozen, examples, copied)


def queries(asked: FakeModel) -> list[str]:
    return [request.query for batch in asked.calls for request in batch]


def same(one: Evaluation, other: Evaluation) -> bool:
    """Equal in everything but measured time and whether it was interrupted."""
    headers = [e.header.model_copy(update={"resumed": False}) for e in (one, other)]
    return (headers[0], one.rows, one.summaries) == (headers[1], other.rows, other.summaries)


def test_scored_failed_and_unscored_are_all_there_is(run: RunFolder) -> None:
    asked = (*EXAMPLES, Example("open", {"q": "问 0"}, ()), Example("both", {"q": "问 4"}, ()))
    found = evaluate(run, question(model(), examples=asked), METRICS)
    for summary in found.summaries.values():
        assert (summary.n, summary.scored, summary.failed, summary.unscored) == (22, 18, 3, 1)
    right = [n for n in range(20) if n not in (4, 17) and LABELS[n % 3] == LABELS[n // 2 % 3]]
    accuracy = found.summaries["accuracy"]
    assert accuracy.value == pytest.approx(len(right) / 18)
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert accuracy.low < accuracy.value < accuracy.high
    assert [row.answer.example for row in found.rows] == [e.id for e in asked]
    assert [row.group for row in found.rows] == [e.group for e in asked]
    failed = found.rows[4]
    assert (failed.answer.failure, failed.scores["accuracy"].status) == (Failure("refused"), "failed")


def test_copied_questions_stay_in_the_score_and_are_left_out_of_a_second_one(run: RunFolder) -> None:
    copied = frozenset(e.id for e in EXAMPLES[:8])
    found = evaluate(run, question(model(), copied=copied), METRICS)
    rest = evaluate(RunFolder(run.path / "rest"), question(model(), examples=EXAMPLES[8:]), METRICS)
    plain = evaluate(RunFolder(run.path / "plain"), question(model()), METRICS)
    assert found.summaries == plain.summaries
    assert plain.extra == {}
    summaries = {name: summary.model_dump(mode="json") for name, summary in rest.summaries.items()}
    assert found.extra == {"without_copies": {"copies": 8, "summaries": summaries}}
    assert found.summaries["accuracy"].value != summaries["accuracy"]["value"]
    every = frozenset(e.id for e in EXAMPLES)
    alone = evaluate(RunFolder(run.path / "every"), question(model(), copied=every), METRICS)
    assert alone.extra == {"without_copies": {"copies": 20, "summaries": {}}}


def test_the_record_is_read_back_and_nobody_is_asked_again(run: RunFolder) -> None:
    found = evaluate(run, question(model()), METRICS)
    silent = model({1: AssertionError("asked again")})
    assert evaluate(run, question(silent), METRICS) == found
    assert run.read_evaluation("prompt-1", "test") == found
    assert not list(run.path.glob("evaluations/*.part"))
    assert len(run.openings()) == 1


def test_another_split_is_answered_anew(run: RunFolder) -> None:
    evaluate(run, question(model()), METRICS)
    fewer = EXAMPLES[:10]
    again = evaluate(run, question(model(), examples=fewer, hash="h2"), METRICS)
    assert (again.header.n, again.header.split_hash) == (10, "h2")
    assert run.read_evaluation("prompt-1", "test") == again


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), BackendError("E3109", model="m")], ids=["stop", "gone"])
@pytest.mark.parametrize("at", [1, 5, 11, 20])
def test_an_interrupted_evaluation_keeps_what_was_answered_and_goes_on_from_there(
    run: RunFolder, tmp_path: Path, fault: BaseException, at: int
) -> None:
    whole = evaluate(RunFolder(tmp_path / "other"), question(model()), METRICS)
    with pytest.raises(type(fault)):
        evaluate(run, question(model({at: fault})), METRICS)
    assert run.read_evaluation("prompt-1", "test") is None
    done = (at - 1) // 4 * 4
    going_on = model()
    found = evaluate(run, question(going_on), METRICS)
    assert queries(going_on) == [e.text for e in EXAMPLES[done:]]
    assert same(found, whole)
    assert found.header.resumed == (done > 0)
    assert not list(run.path.glob("evaluations/*.part"))
    assert [(o.n, o.answered) for o in run.openings()] == [(20, 20), (20, 20 - done)]


def test_interrupted_again_and_again_it_still_comes_to_the_same(run: RunFolder, tmp_path: Path) -> None:
    whole = evaluate(RunFolder(tmp_path / "other"), question(model()), METRICS)
    asked: list[str] = []
    for _ in range(4):
        breaking = model({5: KeyboardInterrupt()})
        with pytest.raises(KeyboardInterrupt):
            evaluate(run, question(breaking), METRICS)
        asked += [request.query for request in breaking.calls[0]]
    last = model()
    assert same(evaluate(run, question(last), METRICS), whole)
    assert asked + queries(last) == [e.text for e in EXAMPLES]


def test_a_line_that_was_cut_off_is_asked_again_and_nothing_else(run: RunFolder, tmp_path: Path) -> None:
    whole = evaluate(RunFolder(tmp_path / "other"), question(model()), METRICS)
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, question(model({9: KeyboardInterrupt()})), METRICS)
    part = next(run.path.glob("evaluations/*.part"))
    os.truncate(part, part.stat().st_size - 7)
    going_on = model()
    assert same(evaluate(run, question(going_on), METRICS), whole)
    assert queries(going_on) == [e.text for e in EXAMPLES[7:]]


@pytest.mark.parametrize("sync", range(1, 10))
def test_a_disk_that_fills_up_at_any_moment_stops_it_and_what_was_kept_counts(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: int
) -> None:
    whole = evaluate(RunFolder(tmp_path / "other"), question(model(), "dev"), METRICS)
    real, calls = os.fsync, [0]

    def refuse(handle: int) -> None:
        calls[0] += 1
        if calls[0] >= sync:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse)
        with pytest.raises(WriteError) as caught:
            evaluate(run, question(model(), "dev"), METRICS)
    assert caught.value.code == "E5002"
    going_on = model()
    assert same(evaluate(run, question(going_on, "dev"), METRICS), whole)
    # Five chunks are synced one by one; then the rows and the summary, each with its folder.
    assert len(queries(going_on)) <= max(0, 20 - 4 * (sync - 1))


def test_only_test_is_opened_and_each_opening_is_on_record_before_the_first_question(run: RunFolder) -> None:
    evaluate(run, question(model(), "dev"), METRICS)
    evaluate(run, question(model(), "train"), METRICS)
    assert not run.openings_path.exists()
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, question(model({1: KeyboardInterrupt()})), METRICS)
    opening = run.openings()[0]
    assert (opening.candidate, opening.split_hash, opening.n, opening.answered) == ("prompt-1", "h1", 20, 20)
    assert opening.time.endswith("Z")
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, question(model({7: KeyboardInterrupt()})), METRICS)
    evaluate(run, question(model()), METRICS)
    assert [o.answered for o in run.openings()] == [20, 20, 16]


def test_what_it_took_is_added_up_over_interruptions(run: RunFolder) -> None:
    script = {
        e.text: Completion(
            text="rent", choice_scores=(-0.1, -3.0, -3.0), tokens_in=10, tokens_out=1, money=0.5, seconds=n
        )
        for n, e in enumerate(EXAMPLES, 1)
    }
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, question(model({13: KeyboardInterrupt()}, script)), METRICS)
    used = evaluate(run, question(model(None, script)), METRICS).resources
    assert (used.tokens_in, used.tokens_out, used.money) == (200, 20, 10.0)
    # An endpoint has timed each request by itself.
    assert (used.latency_n, used.latency_p50) == (20, 10.5)
    assert used.latency_p95 == pytest.approx(19.05)
    assert used.gpu_seconds == 0.0
    assert used.peak_memory_gib > 0


def test_progress_is_told_chunk_by_chunk_up_to_the_end(run: RunFolder) -> None:
    reading = Reading()
    evaluate(run, question(model()), METRICS, progress=reading)
    assert reading.told == [(done, 20) for done in (4, 8, 12, 16, 20)]


def test_a_damaged_record_is_said_to_be_and_not_quietly_made_anew(run: RunFolder) -> None:
    evaluate(run, question(model()), METRICS)
    path = run.evaluation_path("prompt-1", "test")
    path.write_text("")
    with pytest.raises(DataError) as caught:
        evaluate(run, question(model()), METRICS)
    assert caught.value.code == "E2901"
