"""Failing is never a gain: by a mean, a macro average or a corpus metric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rung.core.evaluation import Answer, Metric, Score
from rung.core.model import Failure
from rung.core.registry import create
from rung.core.task import Example, OutputSpec, Task
from rung.stats.failing import worth

LABELS = ("rent", "repairs", "notice")
FAILED = None


def task(kind: str = "label", **more: object) -> Task:
    output = OutputSpec(kind="label", labels=LABELS) if kind == "label" else OutputSpec(kind="text", **more)  # type: ignore[arg-type]
    return Task(name="t", instruction="Answer.", inputs=("question",), output=output, metrics=("accuracy",))


def scored(metric: Metric, right: Sequence[str], said: Sequence[str | None], labels: Sequence[str] = ()) -> float:
    examples = [Example(f"q{i}", {"question": "?"}, (reference,)) for i, reference in enumerate(right)]
    answers = [
        Answer(example.id, text or "", failure=None if text is not None else Failure("timeout"))
        for example, text in zip(examples, said, strict=True)
    ]
    return worth(metric, examples, metric.score(examples, answers), labels)


def test_failing_on_a_rare_label_is_no_way_round_it() -> None:
    metric = create("metric", "macro_f1", task=task())
    right = ["rent"] * 9 + ["repairs"]
    wrong = scored(metric, right, ["rent"] * 10, LABELS)
    failing = scored(metric, right, ["rent"] * 9 + [FAILED], LABELS)
    # Left out, the rare label would be no label at all, and the rest perfect.
    assert wrong == pytest.approx(0.474, abs=0.001)
    assert failing <= wrong


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "macro_precision", "macro_recall"])
@pytest.mark.parametrize("seed", range(12))
def test_no_label_in_place_of_a_failure_is_worth_less(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    metric = create("metric", name, task=task())
    right = [str(label) for label in rng.choice(LABELS, 14, p=(0.7, 0.2, 0.1))]
    said: list[str | None] = [r if rng.random() < 0.7 else str(rng.choice(LABELS)) for r in right]
    for failed in (1, 2, 4):
        places = rng.choice(14, failed, replace=False)
        broken = [FAILED if i in places else text for i, text in enumerate(said)]
        failing = scored(metric, right, broken, LABELS)
        for _ in range(6):
            drawn = [str(rng.choice(LABELS)) if text is FAILED else text for text in broken]
            assert failing <= scored(metric, right, drawn, LABELS) + 1e-9


@pytest.mark.parametrize("name", ["bleu", "chrf", "rouge_l", "token_f1", "exact_match"])
@pytest.mark.parametrize("long", [False, True])
def test_failing_on_the_hard_questions_is_no_gain_for_a_text(name: str, long: bool) -> None:
    metric = create("metric", name, task=task("text"))
    reference = "the deposit is returned within thirty days of the end"
    right = [reference] * 10
    good = reference + (" of the tenancy and so on and on and on" if long else "")
    poor = [*[good] * 6, *["the deposit is perhaps returned in some days"] * 4]
    assert scored(metric, right, [*[good] * 6, *[FAILED] * 4]) <= scored(metric, right, poor)


def test_failing_is_no_way_to_have_answered() -> None:
    abstaining = task("text", abstain="I do not know.")
    metric = create("metric", "answered_share", task=abstaining)
    assert scored(metric, ["x"] * 4, ["x", "I do not know.", FAILED, FAILED]) == 0.25


class Errors:
    """A metric of several parts where lower is better."""

    name, better, needs, parts = "errors", "lower", frozenset[str](), ("errors", "words")

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return [
            Score("failed")
            if answer.failure
            else Score("scored", 0.5, {"errors": float(answer.text != example.references[0]), "words": 1.0})
            for example, answer in zip(examples, answers, strict=True)
        ]

    def aggregate(self, totals: np.ndarray, n: np.ndarray) -> np.ndarray:
        found: np.ndarray = totals[..., 0] / np.maximum(totals[..., 1], 1)
        return found


def test_where_lower_is_better_failing_is_no_gain_either() -> None:
    metric: Metric = Errors()  # type: ignore[assignment]
    wrong = scored(metric, ["x"] * 4, ["x", "x", "y", "y"])
    assert wrong == -0.5
    assert scored(metric, ["x"] * 4, ["x", "x", FAILED, FAILED]) <= wrong
    assert scored(metric, ["x"] * 4, [FAILED] * 4) == -1.0


def test_without_failures_it_is_the_metric() -> None:
    metric = create("metric", "macro_f1", task=task())
    right = ["rent", "repairs", "notice", "rent"]
    assert scored(metric, right, right, LABELS) == 1.0
    assert scored(metric, right, [FAILED] * 4, LABELS) == 0.0
