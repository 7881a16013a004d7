"""How much there is: rows of each label, and what more rows would bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rung.core.hashing import seed_from
from rung.data.quality.estimates import share
from rung.data.quality.head import Predictions, deal_folds, fit_scores
from rung.data.quality.record import Curve, CurvePoint, Estimate, LabelCount
from rung.stats.learning import Doubling, extrapolate_doubling, row_draws

Ints = NDArray[np.int64]
Progress = Callable[[float, float, str], None]

SHARES = (0.125, 0.25, 0.5, 1.0)
FEW = (5, 16, 50)
"""Rows of a label: too few to test, to tune a prompt or to draw shots, to train."""
FEWEST_ROWS = 80
"""Rows without which an eighth of them teaches nothing."""
SEEDS = 3


def count_labels(
    labels: Sequence[str], test: Sequence[str], suspected: Counter[str] | None = None, known: Sequence[str] = ()
) -> tuple[LabelCount, ...]:
    """Every label with its rows, the commonest first; `known`: labels of the task, some of which may have no row."""
    counts, held = Counter(labels), Counter(test)
    names = sorted({*counts, *held, *known}, key=lambda name: (-counts[name], name))
    doubted = suspected or Counter()
    return tuple(LabelCount(label=name, n=counts[name], test=held[name], suspected=doubted[name]) for name in names)


def learning_curve(
    vectors: NDArray[np.float32],
    labels: Ints,
    units: Ints,
    k: int,
    like: Predictions,
    *,
    seeds: int = SEEDS,
    progress: Progress | None = None,
) -> Curve | None:
    """The head on an eighth, a quarter, half and all of the rows, each row scored by a head that has not seen it.

    Every seed deals new folds and draws new parts; a part of a smaller share lies within that of a larger one. Intervals are
    those of the rows (whole units); the doubling is `stats.learning.extrapolate_doubling`. None below FEWEST_ROWS rows.
    """
    n = len(labels)
    if n < FEWEST_ROWS or k < 2:
        return None
    right = np.zeros((seeds, len(SHARES), n))
    sizes = np.zeros(len(SHARES))
    for seed in range(seeds):
        rng = np.random.default_rng(seed_from("curve", seed))
        fold = deal_folds(labels, units, rng)
        for number in np.unique(fold):
            held = fold == number
            rest = _spread(np.flatnonzero(~held), labels, rng)
            for at, size in enumerate(SHARES):
                part = rest[: max(2, round(size * len(rest)))]
                sizes[at] += len(part)
                scores = fit_scores(vectors[part], labels[part], vectors[held], k, (like.penalty,))[0]
                right[seed, at, held] = scores.argmax(axis=1) == labels[held]
        if progress:
            progress(seed + 1, seeds, "learning curve")
    rows = np.rint(sizes / (seeds * len(np.unique(fold)))).astype(int)
    mean = right.mean(axis=0)
    draws = row_draws(mean.T, units)
    found = extrapolate_doubling(mean.mean(axis=1), draws)
    by_seed = right.mean(axis=2)
    points = tuple(
        CurvePoint(
            rows=int(rows[at]),
            score=share(mean[at], units),
            lowest=float(by_seed[:, at].min()),
            highest=float(by_seed[:, at].max()),
        )
        for at in range(len(SHARES))
    )
    return Curve(
        points=points, doubled=_doubled(found, points[-1].score), gain=_gain(found, points[-1].score), seeds=seeds
    )


def _doubled(found: Doubling, last: Estimate) -> Estimate:
    """The score after the doubling. Where nearly every row is right resamples hardly differ, so what is sure now bounds it."""
    low, high = (last.low, last.high) if _settled(found) else (found.low, found.high)
    return Estimate(point=found.point, low=low, high=high, n=last.n)


def _gain(found: Doubling, last: Estimate) -> Estimate:
    high = found.gain_high
    if _settled(found):
        high = max(high, (last.point or 0.0) - (last.low or 0.0))
    return Estimate(point=found.gain, low=found.gain_low, high=high, n=last.n)


def _settled(found: Doubling) -> bool:
    """Whether no resample gains anything: then they show no spread, and chance is still there."""
    return found.gain_high - found.gain_low < 1e-9


def _spread(rows: Ints, labels: Ints, rng: np.random.Generator) -> Ints:
    """Rows in an order any beginning of which has each label at about its share."""
    drawn = rng.random(len(rows))
    order = np.lexsort((drawn, labels[rows]))
    counts = np.bincount(labels[rows])
    # Of a label's m rows the i-th comes at (i + a random part) / m of the way.
    starts = np.cumsum(counts) - counts
    sorted_labels = labels[rows][order]
    at = np.arange(len(rows)) - starts[sorted_labels]
    key = (at + rng.random(len(rows))) / counts[sorted_labels]
    found: Ints = rows[order][np.argsort(key, kind="stable")]
    return found
