"""A learning curve drawn out to twice the data: a power law through scores at 1/8, 1/4, 1/2 and all of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rung.core.hashing import seed_from
from rung.stats.intervals import Floats

DRAWS = 1_000
_RATIOS = np.append(np.linspace(0.2, 0.98, 40), 1.0)


@dataclass(frozen=True, slots=True)
class Doubling:
    """The score after one more doubling, and what it adds, each with a 95 % interval."""

    point: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


def extrapolate_doubling(scores: Floats, draws: Floats) -> Doubling:
    """scores [p]: at shares that double from one to the next; draws [B, p]: the same on resamples. Capped to 0..1.

    Under the inverse power law score(n) = a - b n^-c (Figueroa et al. 2012, "Predicting sample size required for
    classification performance", equation 1) each doubling gains r = 2^-c times as much as the one before, so the k-th
    score is A - B r^k. For every r of a grid up to 1, where the law becomes a straight line in the number of doublings, A
    and B are least squares; the best r is kept, in each resample anew. A doubling therefore never gains more than the
    line through all points says. Raises ValueError for fewer than three points.
    """
    if len(scores) < 3:
        raise ValueError("a power law needs three points")
    every = np.vstack([scores, draws])
    ahead = _next(every)
    ends = np.clip(ahead, 0.0, 1.0)
    gains = ends - every[:, -1]
    low, high = np.quantile(ends[1:], [0.025, 0.975])
    gain_low, gain_high = np.quantile(gains[1:], [0.025, 0.975])
    return Doubling(
        float(ends[0]),
        min(float(low), float(ends[0])),
        max(float(high), float(ends[0])),
        float(gains[0]),
        min(float(gain_low), float(gains[0])),
        max(float(gain_high), float(gains[0])),
    )


def _next(curves: Floats) -> Floats:
    """[B]: the score one doubling after the last, for curves [B, p]."""
    p = curves.shape[1]
    best = np.full(len(curves), np.inf)
    found = np.empty(len(curves))
    for ratio in _RATIOS:
        shape = np.arange(p + 1) if ratio == 1.0 else -(ratio ** np.arange(p + 1))
        design = np.column_stack([np.ones(p), shape[:p]])
        weights = np.linalg.pinv(design)
        fitted = curves @ weights.T
        # More data that make a head worse are chance; the law only rises.
        fitted[:, 1] = np.maximum(fitted[:, 1], 0.0)
        flat = fitted[:, 1] == 0.0
        fitted[flat, 0] = curves[flat, -1]
        off = np.square(fitted @ design.T - curves).sum(axis=1)
        better = off < best - 1e-12
        best[better] = off[better]
        found[better] = (fitted @ np.array([1.0, shape[p]]))[better]
    # The curve may pass below its last point; what is known there is kept.
    return np.maximum(found, curves[:, -1])


def row_draws(scores: Floats, units: Floats | np.ndarray, *, draws: int = DRAWS) -> Floats:
    """Means [draws, p] of scores [n, p] on resamples of whole units [n]."""
    rng = np.random.default_rng(seed_from("rows", len(scores), draws))
    index = np.unique(units, return_inverse=True)[1]
    count = int(index.max()) + 1
    sums = np.stack([np.bincount(index, weights=column, minlength=count) for column in scores.T], axis=1)
    sizes = np.bincount(index, minlength=count).astype(np.float64)
    found = np.empty((draws, scores.shape[1]))
    for at in range(draws):
        times = np.bincount(rng.integers(count, size=count), minlength=count)
        found[at] = times @ sums / (times @ sizes)
    return found
