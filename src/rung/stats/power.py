"""How many examples a decision needs, and how small a difference a test set can show."""

from __future__ import annotations

import math

from scipy import special

from rung.stats.intervals import pseudo_examples, two_sided_z

POWER = 0.8
_MOST = 1e12


def smallest_gap(n: float, variance: float, *, critical: float | None = None, power: float = POWER) -> float:
    """The smallest gap that n examples settle with this power.

    The gap lies between the true difference of two candidates and the value that the bound must clear: difference +
    margin to show "not worse by more than the margin", or the difference itself to show "better". `variance` is that
    of one example's paired difference (`paired_variance`), `critical` the number of standard errors of the bound
    (`PairwiseBounds.critical`; 1.96 without it).

    gap = (w + critical * sqrt(n * variance + w) + z_power * sqrt(n * variance)) / n, the usual normal formula for
    paired data (Connett, Smith and McHugh 1987) with the w pseudo-examples of `intervals.guarded_bounds`, so that it
    is right for few exceptions too: with variance 0 it is the rule of three. No examples: nan.
    """
    if not n > 0 or math.isnan(variance):
        return math.nan
    z = two_sided_z(0.95) if critical is None else critical
    w = float(pseudo_examples(z))
    spread = n * variance
    return (w + z * math.sqrt(spread + w) + float(special.ndtri(power)) * math.sqrt(spread)) / n


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
