"""Shares with their intervals, where rows of one group count together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.data.quality.record import Estimate
from rung.stats.intervals import Bounds, guarded_bounds, two_sided_z, wilson

Z = two_sided_z(0.95)


def share(hits: NDArray[np.float64] | NDArray[np.bool_], units: NDArray[np.int64]) -> Estimate:
    """Mean of 0..1 values [n] with its 95 % interval. units [n]: rows of one unit stand or fall together.

    Wilson's interval for yes and no on rows of their own; otherwise the ratio estimator's standard error over units
    (Cochran 1977, "Sampling Techniques", section 9A), guarded as in `stats.intervals.guarded_bounds`.
    """
    n = len(hits)
    if n == 0:
        return Estimate(point=None, n=0)
    values = np.asarray(hits, np.float64)
    mean = float(values.mean())
    sums = np.bincount(np.unique(units, return_inverse=True)[1], weights=values - mean)
    count = len(sums)
    if count == n and set(np.unique(values)) <= {0.0, 1.0}:
        ends = wilson(float(values.sum()), n)
        return Estimate(point=mean, low=ends.low, high=ends.high, n=n)
    if count < 2:
        return Estimate(point=mean, n=n)
    se = float(np.sqrt(count / (count - 1) * np.square(sums).sum())) / n
    return guarded(mean, se, count, n)


def guarded(point: float, se: float, units: int, n: int) -> Estimate:
    """A share with the guarded interval of its standard error; none for fewer than two units."""
    found: Bounds = guarded_bounds(np.array(point), np.array(se), np.array(float(units)), Z, lowest=0.0, highest=1.0)
    low, high = float(found.low), float(found.high)
    return Estimate(point=point, low=low, high=high, n=n) if np.isfinite(low) else Estimate(point=point, n=n)
