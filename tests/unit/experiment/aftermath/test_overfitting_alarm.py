"""The alarm goes off where training questions are answered far better than dev, seldom by chance, and reads curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rung.core.evaluation import Answer, Row, Score
from rung.core.task import Example, OutputSpec, Task
from rung.experiment.aftermath.overfitting import alarm_of, overfitting, read_curve
from rung.experiment.aftermath.unseen import (
    Scored,
    by_kind,
    by_similarity,
    nearest_by_encoder,
    nearest_by_shingles,
)
from rung.metrics.labels import Accuracy
from rung.store.records import Interval

TASK = Task(
    name="t",
    instruction="Judge.",
    inputs=("text",),
    output=OutputSpec(kind="label", labels=("pos", "neg")),
    metrics=("accuracy",),
)


def scored(marks: list[bool | None], name: str = "q", groups: list[str] | None = None) -> Scored:
    """Rows that are right, wrong or failed."""
    rows = [
        Row(
            Answer(f"{name}{i}", "pos"),
            {"accuracy": Score("failed") if mark is None else Score("scored", float(mark), {"correct": float(mark)})},
            groups[i] if groups else "",
        )
        for i, mark in enumerate(marks)
    ]
    return Scored(Accuracy(task=TASK), rows, 0)


def test_a_perfect_memory_sets_off_the_alarm() -> None:
    found = overfitting(scored([True] * 100, "t"), scored([True] * 60 + [False] * 40))
    assert found is not None
    assert found.alarm == "strong"
    assert found.gap.point == pytest.approx(0.4)


def test_the_same_score_on_both_sides_is_no_alarm() -> None:
    found = overfitting(scored([True] * 80 + [False] * 20, "t"), scored([True] * 80 + [False] * 20))
    assert found is not None
    assert found.alarm == "none"


def test_failures_are_counted_apart_and_nothing_scored_is_nothing_said() -> None:
    found = overfitting(scored([True] * 50, "t"), scored([True] * 48 + [None] * 2))
    assert found is not None
    assert (found.n_dev, found.failed_dev) == (48, 2)
    assert found.alarm == "none"
    assert overfitting(scored([True] * 5, "t"), scored([None, None])) is None


@pytest.mark.parametrize(
    ("point", "low", "alarm"),
    [(0.02, 0.001, "slight"), (0.08, 0.01, "clear"), (0.3, 0.2, "strong"), (0.3, 0.0, "none"), (0.3, None, "unknown")],
)
def test_the_size_of_the_alarm(point: float, low: float | None, alarm: str) -> None:
    assert alarm_of(Interval(point=point, low=low, high=0.5)) == alarm


@pytest.mark.parametrize(("share", "grouped"), [(0.9, False), (0.7, False), (0.8, True)])
def test_false_alarms_are_rare(share: float, grouped: bool) -> None:
    """Train and dev answered equally well; the alarm may go off in one case of twenty at most."""
    rng, alarms, times = np.random.default_rng(11), 0, 150
    for _ in range(times):
        sides = []
        for name, n in (("t", 40), ("d", 32)):
            if grouped:
                of = np.repeat(np.arange(n // 2), 2)
                alike = rng.random(n // 2) < share
                marks = [bool(x) for x in alike[of]]
                sides.append(scored([*marks], name, [f"{name}{g}" for g in of]))
            else:
                sides.append(scored([bool(x) for x in rng.random(n) < share], name))
        found = overfitting(*sides)
        assert found is not None
        alarms += found.alarm != "none"
    assert alarms <= 0.05 * times


def curve(train: list[float], dev: list[float | None]) -> list[dict[str, Any]]:
    return [
        {"step": i + 1, "loss": loss, "seconds": 1.0} | ({} if scoring is None else {"dev": 0.5, "dev_loss": scoring})
        for i, (loss, scoring) in enumerate(zip(train, dev, strict=True))
    ]


def test_a_dev_loss_that_rises_while_training_loss_falls_is_read() -> None:
    found = read_curve(curve([2.0, 1.5, 1.0, 0.5, 0.2], [1.8, 1.2, 1.0, 1.3, 1.6]), kept_step=3)
    assert found is not None
    assert (found.shape, found.best_step, found.last_step, found.kept_step) == ("rising", 3, 5, 3)
    assert (found.train_best, found.train_last) == (1.0, 0.2)


@pytest.mark.parametrize(
    ("train", "dev"),
    [
        ([2.0, 1.5, 1.0, 0.5, 0.2], [1.8, 1.2, 1.0, 0.9, 0.8]),
        ([2.0, 1.5, 1.0, 0.5, 0.2], [1.8, 1.2, 1.0, 1.01, 1.02]),
        ([2.0, 1.5, 1.0, 0.5, 0.2], [1.8, 1.2, 1.1, 1.0, 1.3]),
        ([2.0, 1.5, 1.0, 1.4, 1.9], [1.8, 1.2, 1.0, 1.3, 1.6]),
    ],
)
def test_a_falling_level_late_or_diverging_curve_is_not_rising(train: list[float], dev: list[float | None]) -> None:
    found = read_curve(curve(train, dev))
    assert found is not None
    assert found.shape == "level"


def test_two_scorings_are_too_few_and_no_curve_is_none() -> None:
    found = read_curve(curve([2.0, 1.0, 0.5], [None, 1.0, 2.0]))
    assert found is not None
    assert found.shape == "too_short"
    assert read_curve([]) is None


def example(i: int, text: str, label: str = "pos", group: str = "") -> Example:
    return Example(f"q{i}", {"text": text}, (label,), group)


def test_far_questions_are_told_from_near_ones_and_a_fall_is_seen() -> None:
    similarity = {f"q{i}": i / 90 for i in range(90)}
    falls = scored([i >= 45 for i in range(90)])
    found = by_similarity(falls, similarity, 0.02, how="shingles")
    assert found is not None
    assert (found.n_near, found.n_far, found.verdict) == (30, 30, "falls")
    assert found.change.point == -1.0
    assert found.similarity_near is not None
    assert found.similarity_far is not None
    assert found.similarity_near > 0.6 > 0.3 > found.similarity_far
    alike = by_similarity(scored([i % 2 == 0 for i in range(90)]), similarity, 0.02, how="shingles")
    assert alike is not None
    assert alike.verdict == "unclear"
    assert by_similarity(scored([True] * 9), {f"q{i}": i / 9 for i in range(9)}, 0.02, how="shingles") is None


def test_a_label_that_training_never_had_stands_apart() -> None:
    dev = [example(i, f"text {i}", "new" if i % 3 == 0 else "pos") for i in range(60)]
    train = [example(100 + i, f"text {i}", "pos") for i in range(20)]
    found = by_kind(scored([i % 3 != 0 for i in range(60)]), "label", dev, train, 0.02)
    assert found is not None
    assert (found.by, found.n_far, found.n_near, found.verdict) == ("label", 20, 40, "falls")
    assert by_kind(scored([True] * 60), "label", dev, [*train, example(99, "x", "new")], 0.02) is None
    assert by_kind(scored([True] * 60), "group", dev, train, 0.02) is None


def test_nearest_by_shingles_in_both_languages() -> None:
    train = ["Where is my parcel?", "我的包裹在哪里？"]
    found = nearest_by_shingles(["Where is my parcel now?", "我的包裹到哪里了？", "How do I cook rice?"], train)
    assert found[0] > 0.6 > found[2]
    assert found[1] > found[2]


def test_nearest_by_encoder_takes_the_closest() -> None:
    class Letters:
        id = "letters"

        def encode(self, texts: list[str]) -> np.ndarray:
            found = np.array([[text.count("a"), text.count("b")] for text in texts], dtype=np.float32)
            return found / np.linalg.norm(found, axis=1, keepdims=True)

    found = nearest_by_encoder(["aab", "b"], ["a", "bb"], Letters())
    assert found == pytest.approx([2 / 5**0.5, 1.0])
