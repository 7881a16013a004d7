"""Accuracy, the macro metrics and the confusion table."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from sklearn import metrics as reference

from rung.core.errors import DataError
from rung.core.evaluation import Answer, Metric, Score, parts_matrix
from rung.core.model import Failure
from rung.core.registry import create
from rung.core.task import Example, OutputSpec, Task
from rung.metrics.labels import Mistake, confusion
from rung.stats.bootstrap import resample

LABELS = ("deposits", "repairs", "rent", "safety")
MACRO = {
    "macro_f1": reference.f1_score,
    "macro_precision": reference.precision_score,
    "macro_recall": reference.recall_score,
}


def label_task(labels: tuple[str, ...] = LABELS) -> Task:
    return Task(
        name="topics",
        instruction="Name the topic.",
        inputs=("question",),
        output=OutputSpec(kind="label", labels=labels),
        metrics=("accuracy",),
    )


def ask(right: list[str | tuple[str, ...]], said: list[str | None]) -> tuple[list[Example], list[Answer]]:
    """Examples with references, and answers; None is a failure."""
    examples = [
        Example(f"e{n}", {"question": "?"}, (label,) if isinstance(label, str) else label)
        for n, label in enumerate(right)
    ]
    answers = [
        Answer(f"e{n}", text or "", failure=None if text is not None else Failure("timeout"))
        for n, text in enumerate(said)
    ]
    return examples, answers


def total(metric: Metric, scores: list[Score]) -> float:
    parts = parts_matrix(scores, metric.parts)
    known = parts[~np.isnan(parts).any(axis=1)]
    return float(metric.aggregate(known.sum(axis=0), np.array(float(len(known)))))


def measure(
    name: str, right: list[str | tuple[str, ...]], said: list[str | None], labels: tuple[str, ...] = LABELS
) -> float:
    metric = create("metric", name, task=label_task(labels))
    return total(metric, metric.score(*ask(right, said)))


@pytest.mark.parametrize("name", MACRO)
@pytest.mark.parametrize("answered", [LABELS, LABELS[:2]], ids=["all", "two"])
@pytest.mark.parametrize("asked", [LABELS, LABELS[1:3]], ids=["all", "two"])
def test_macro_metrics_as_in_sklearn(name: str, asked: tuple[str, ...], answered: tuple[str, ...]) -> None:
    """Labels that nobody named or answered are left out; labels only answered, or only asked for, count."""
    rng = np.random.default_rng(0)
    right = [str(label) for label in rng.choice(asked, 60)]
    said = [str(label) for label in np.where(rng.random(60) < 0.4, right, rng.choice(answered, 60))]
    theirs = MACRO[name](right, said, average="macro", zero_division=0)
    assert measure(name, right, said) == pytest.approx(theirs)
    assert measure("accuracy", right, said) == pytest.approx(reference.accuracy_score(right, said))


def test_by_hand() -> None:
    right, said = ["deposits", "deposits", "rent", "rent"], ["deposits", "rent", "rent", "safety"]
    # deposits: tp 1 fn 1; rent: tp 1 fp 1 fn 1; safety: fp 1; repairs: nothing.
    assert measure("macro_f1", right, said) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert measure("macro_precision", right, said) == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert measure("macro_recall", right, said) == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert measure("accuracy", right, said) == 0.5


def test_parts_are_sparse_counts() -> None:
    metric = create("metric", "macro_f1", task=label_task())
    scores = metric.score(*ask(["rent", "rent", "rent", "rent"], ["rent", "safety", "nonsense", None]))
    assert [dict(score.parts) for score in scores] == [
        {"tp:rent": 1.0},
        {"fn:rent": 1.0, "fp:safety": 1.0},
        {"fn:rent": 1.0},
        {},
    ]
    assert [score.status for score in scores] == ["scored", "scored", "scored", "failed"]


def test_a_failure_is_apart_from_a_mistake() -> None:
    assert measure("accuracy", ["rent", "rent"], ["rent", None]) == 1
    assert measure("macro_recall", ["rent", "rent"], ["rent", None]) == 1
    assert np.isnan(measure("accuracy", ["rent"], [None]))


def test_labels_are_read_after_normalisation_unless_that_would_confuse_them() -> None:
    assert measure("accuracy", ["rent", "Rent"], ["ＲＥＮＴ ", "rent"]) == 1
    assert measure("accuracy", ["Yes", "yes"], ["yes", "yes"], labels=("Yes", "yes")) == 0.5
    assert measure("accuracy", ["yes"], ["YES"], labels=("Yes", "yes")) == 0


def test_any_of_several_references_will_do() -> None:
    right: list[str | tuple[str, ...]] = [("rent", "deposits"), ("rent", "deposits")]
    assert measure("accuracy", right, ["deposits", "safety"]) == 0.5
    metric = create("metric", "macro_recall", task=label_task())
    scores = metric.score(*ask(right, ["deposits", "safety"]))
    assert dict(scores[0].parts) == {"tp:deposits": 1.0}
    assert dict(scores[1].parts) == {"fn:rent": 1.0, "fp:safety": 1.0}


def test_accuracy_without_a_label_set_compares_texts() -> None:
    assert measure("accuracy", ["Four Weeks", "two"], ["four  weeks", "one"], labels=()) == 0.5


@pytest.mark.parametrize(
    ("name", "code"), [("macro_f1", "E2503"), ("macro_precision", "E2503"), ("macro_recall", "E2503")]
)
def test_macro_metrics_need_labels(name: str, code: str) -> None:
    with pytest.raises(DataError) as caught:
        create("metric", name, task=label_task(()))
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
def test_mistakes_in_the_data_are_named(name: str) -> None:
    metric = create("metric", name, task=label_task())
    examples, answers = ask(["rent", "safety"], ["rent", "rent"])
    for wrong, code in ((answers[:1], "E2500"), (answers[::-1], "E2501")):
        with pytest.raises(DataError) as caught:
            metric.score(examples, wrong)
        assert caught.value.code == code
    with pytest.raises(DataError) as caught:
        metric.score(*ask(["rent", "garden"], ["rent", "rent"]))
    assert caught.value.code == "E2502"
    assert "garden" in str(caught.value)
    assert "e1" in str(caught.value)


def test_confusion_as_in_sklearn() -> None:
    rng = np.random.default_rng(0)
    right, said = [[str(label) for label in rng.choice(LABELS, 80)] for _ in range(2)]
    found = confusion(*ask(list(right), list(said)), LABELS)
    np.testing.assert_array_equal(found.counts, reference.confusion_matrix(right, said, labels=LABELS))


def test_confusion_counts_every_example_once() -> None:
    examples, answers = ask(["rent", "rent", "safety", "safety", ()], ["safety", "safety", "none", None, "rent"])
    found = confusion(examples, answers)
    assert found.labels == ("rent", "safety")
    assert found.counts.tolist() == [[0, 2], [0, 0]]
    assert found.other.tolist() == [0, 1]
    assert found.failed.tolist() == [0, 1]
    assert found.unscored == 1
    assert found.mistakes() == [Mistake("rent", "safety", 2)]


def test_macro_f1_over_77_labels_resamples_fast_and_small() -> None:
    """A tenth of the draws that a decision takes, 20 candidates, 3,000 examples: seconds of processor time, below 1 GiB."""
    rng = np.random.default_rng(0)
    metric = create("metric", "macro_f1", task=label_task(tuple(f"label {n}" for n in range(77))))
    parts = np.zeros((3000, 20, 231))
    rows = np.arange(3000)
    right = rng.integers(0, 77, 3000)
    for j in range(20):
        said = np.where(rng.random(3000) < 0.8, right, rng.integers(0, 77, 3000))
        parts[rows, j, right + 154 * (said != right)] = 1
        parts[rows[said != right], j, 77 + said[said != right]] = 1
    tracemalloc.start()
    started = time.process_time()
    drawn = resample(parts, None, metric.aggregate, rng, draws=1000)
    seconds, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert drawn.draws.shape == (1000, 20)
    assert 0.75 < drawn.point.mean() < 0.85
    assert peak + parts.nbytes < 2**30
    assert seconds < 6
