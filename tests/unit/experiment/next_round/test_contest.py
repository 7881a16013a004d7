"""Whether a new candidate may take over: the paired bound against the margin, failures, and every slice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rung.core.errors import DataError
from rung.core.evaluation import Answer, Evaluation, EvaluationHeader, Resources, Row
from rung.core.model import Failure
from rung.core.registry import create
from rung.core.task import Constraints, Example, OutputSpec, Task
from rung.experiment.evaluate import summarise
from rung.experiment.kept_run import KeptRun
from rung.experiment.next_round.contest import Corner, contest
from rung.store.runs import RunFolder

LABELS = ("deposit", "rent")
TASK = Task(
    name="desk",
    instruction="Name it.",
    inputs=("question",),
    output=OutputSpec(kind="label", labels=LABELS),
    metrics=("accuracy",),
    margin=0.05,
    constraints=Constraints(max_failure_share=0.02),
)
N = 300
EXAMPLES = [Example(f"q{n:03}", {"question": f"question {n} " + "x" * (n % 50)}, (LABELS[n % 2],)) for n in range(N)]


def run_with(path: Path, right: Callable[[int], bool | None], *, split_hash: str = "h") -> Corner:
    """A run whose candidate is right where the function says so; None: it failed."""
    run, metric = RunFolder(path), create("metric", "accuracy", task=TASK)
    run.write_run({"id": path.name, "task": TASK.model_dump(mode="json")})
    run.write_examples({"test": EXAMPLES})
    answers = []
    for n, example in enumerate(EXAMPLES):
        label = example.references[0] if right(n) else LABELS[(n + 1) % 2]
        failed = Failure("timeout") if right(n) is None else None
        answers.append(Answer(example.id, "" if failed else label, failure=failed))
    scores = metric.score(EXAMPLES, answers)
    rows = tuple(Row(answer, {"accuracy": score}) for answer, score in zip(answers, scores, strict=True))
    header = EvaluationHeader(
        candidate="c", method="prompt", model="m", split="test", split_hash=split_hash, n=N, metrics=("accuracy",)
    )
    run.write_evaluation(Evaluation(header, rows, {"accuracy": summarise(metric, rows)}, Resources()))
    return Corner(KeptRun(run), "c")


def test_one_that_is_shown_to_be_better_passes(tmp_path: Path) -> None:
    found = contest(run_with(tmp_path / "old", lambda n: n % 4 > 0), run_with(tmp_path / "new", lambda n: n % 10 > 0))
    assert (found.shown, found.passed) == ("better", True)
    assert found.difference.low is not None
    assert found.difference.low > 0
    assert (found.champion.score, found.new.score) == (0.75, 0.9)
    assert {part.name.en for part in found.slices} >= {"questions of label 'rent'", "the longer half of the questions"}


def test_equals_pass_and_one_that_is_lower_within_the_margin_does_not(tmp_path: Path) -> None:
    old = run_with(tmp_path / "old", lambda n: n % 10 > 0)
    assert contest(old, run_with(tmp_path / "same", lambda n: n % 10 > 0)).passed
    lower = contest(old, run_with(tmp_path / "lower", lambda n: n % 10 > 0 and n != 5))
    assert (lower.shown, lower.passed) == ("not_worse", False)
    assert "add up" in lower.reasons[-1].en


def test_one_that_cannot_be_told_apart_does_not_pass(tmp_path: Path) -> None:
    found = contest(run_with(tmp_path / "old", lambda n: n % 3 > 0), run_with(tmp_path / "new", lambda n: n % 3 < 2))
    assert (found.shown, found.passed) == ("open", False)


def test_a_gain_overall_does_not_hide_a_slice_that_is_worse(tmp_path: Path) -> None:
    # Rent gains much, deposit loses.
    old = run_with(tmp_path / "old", lambda n: n % 2 == 0 or n % 6 == 1)
    new = run_with(tmp_path / "new", lambda n: n % 2 == 1 or n % 4 == 0)
    found = contest(old, new)
    worse = [part.name.en for part in found.slices if part.regresses]
    assert worse == ["questions of label 'deposit'"]
    assert not found.passed
    assert "deposit" in found.reasons[-1].en
    assert "deposit" in found.reasons[-1].zh


def test_failing_more_than_the_task_allows_is_no_way_to_win(tmp_path: Path) -> None:
    old = run_with(tmp_path / "old", lambda n: n % 4 > 0)
    found = contest(old, run_with(tmp_path / "new", lambda n: None if n % 20 == 0 else True))
    assert found.shown == "better"
    assert not found.passed


def test_other_questions_cannot_be_compared(tmp_path: Path) -> None:
    old = run_with(tmp_path / "old", lambda n: True)
    with pytest.raises(DataError, match="E7122"):
        contest(old, run_with(tmp_path / "new", lambda n: True, split_hash="other"))
    with pytest.raises(DataError, match="E7121"):
        contest(old, Corner(old.kept, "nobody"))
