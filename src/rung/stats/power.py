"""How many examples a decision needs, and how small a difference a test set can show."""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from rung.stats.intervals import difference_bounds, two_sided_z

POWER = 0.8
_MOST = 1e12


def smallest_gap(n: float, variance: float, *, critical: float | None = None, power: float = POWER) -> float:
    """The smallest gap that n examples settle with this power.

    The gap lies between the true difference of two candidates and the value that the bound must clear: difference +
    margin to show "not worse by more than the margin", or the difference itself to show "better". `variance` is that
    of one example's paired difference (`paired_variance`), `critical` the number of standard errors of the bound
    (`PairwiseBounds.critical`; 1.96 without it).

    The bound lies below a difference of 0 by as much as `intervals.difference_bounds` says, and the difference seen falls
    short of the true one by z_power standard errors: the usual normal formula for paired data (Connett, Smith and
    McHugh 1987), made right for few exceptions; with variance 0 it is the rule of three. No examples: nan.
    """
    if not n > 0 or math.isnan(variance):
        return math.nan
    z = two_sided_z(0.95) if critical is None else critical
    # A single example has no bound; what it leaves open is everything.
    se, units = np.array(math.sqrt(variance / n)), np.array(float(n))
    bounds = difference_bounds(np.array(0.0), se, units, z)
    half = float(bounds.high) if n > 1 else 1.0
    return half + float(special.ndtri(power)) * float(se)


def examples_needed(gap: float, variance: float, *, critical: float | None = None, power: float = POWER) -> float:
    """The fewest examples whose `smallest_gap` is at most `gap`; infinite where no number would do.

    Nothing known about gap or variance: nan. With groups, `variance` is per group and so is the answer.
    """
    if math.isnan(gap) or math.isnan(variance):
        return math.nan
    low, high = 0.0, 1.0
    if gap <= 0:
        return math.inf
    while smallest_gap(high, variance, critical=critical, power=power) > gap:
        low, high = high, high * 2
        if high > _MOST:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        if smallest_gap(middle, variance, critical=critical, power=power) > gap:
            low = middle
        else:
            high = middle
    return high


def paired_variance(se: float, units: float) -> float:
    """Variance of one example's (or group's) paired difference, from the standard error of `units` of them."""
    return se * se * units
