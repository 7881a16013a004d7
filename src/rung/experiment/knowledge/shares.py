"""Shares and means of questions with their 95 % intervals, whole groups resampled together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.core.evaluation import Metric, Score, parts_matrix
from rung.core.hashing import seed_from
from rung.experiment.aftermath.measures import mean_of_parts
from rung.experiment.evaluate import number
from rung.stats.bootstrap import Draws, guarded_interval, resample
from rung.stats.paired import compare
from rung.store.records import Interval

_DRAWS = 4_000
Floats = NDArray[np.float64]


def shares(marks: Floats, groups: Sequence[str], *names: object) -> list[Interval]:
    """The mean of every column of [n, c], each 0 to 1, nan where a question does not count; guarded 95 % intervals."""
    if not len(marks):
        return [Interval(point=None)] * marks.shape[1]
    rng = np.random.default_rng(seed_from("shares", *names))
    return intervals_of(resample(marks[:, :, None], groups, mean_of_parts, rng, draws=_DRAWS))


def intervals_of(drawn: Draws) -> list[Interval]:
    """One interval for each column that was drawn."""
    bounds = guarded_interval(drawn)
    return [
        Interval(point=number(point), low=number(low), high=number(high))
        for point, low, high in zip(drawn.point, bounds.low, bounds.high, strict=True)
    ]


def paired_scores(
    metric: Metric, columns: Sequence[Sequence[Score]], groups: Sequence[str], *names: object
) -> tuple[list[Interval], Interval]:
    """A metric's value of two answers to the same questions, and the first less the second; better is more for either metric."""
    parts = np.stack([parts_matrix(column, metric.parts) for column in columns], axis=1)
    rng = np.random.default_rng(seed_from("paired", *names))
    drawn = resample(parts, groups, metric.aggregate, rng, draws=_DRAWS)
    found = compare(drawn)
    first, second = (0, 1) if metric.better == "higher" else (1, 0)
    gain = Interval(
        point=number(found.difference[first, second]),
        low=number(found.lower[first, second]),
        high=number(found.upper[first, second]),
    )
    return intervals_of(drawn), gain
