"""Is a candidate no worse than another by a margin or more? A bound and a p value that always agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rung.stats.bootstrap import Draws, stretched
from rung.stats.intervals import Bounds, Floats, difference_bounds

_WIDEST = 38.0
"""Beyond this many standard errors a normal tail is no longer a number."""


@dataclass(frozen=True)
class NonInferiority:
    """Every candidate against every other; entry [i, j] is about candidate i minus candidate j."""

    margin: float
    alpha: float
    difference: Floats
    """[c, c]"""
    lower: Floats
    """[c, c]: one-sided 1 - alpha bound; above -margin: i is shown to be no worse than j by the margin or more."""
    p_value: Floats
    """[c, c]: the smallest alpha whose bound is above -margin, not adjusted for the number of pairs (`multiple.holm`)."""


def non_inferiority(
    drawn: Draws, *, margin: float, alpha: float = 0.025, lowest: float = 0.0, highest: float = 1.0
) -> NonInferiority:
    """Paired non-inferiority of each candidate to each other: is difference > -margin? One-sided, each pair alone.

    The test of Schuirmann (1987) and of Blackwelder (1982), one side of it, with the bootstrap's standard error of the
    paired difference and the score bound of `intervals.difference_bounds`; the p value is found by inverting it. With
    alpha 0.025 the bound is the lower end of the 95 % interval, as `paired.compare` gives it for a single pair. A margin
    of 0 asks for superiority. `lowest`, `highest`: what a single example can score. The diagonal, and pairs with fewer
    than two units: nan. Raises ValueError for a negative margin.
    """
    if margin < 0:
        raise ValueError(f"a margin of {margin} is negative")
    c, span = len(drawn.point), highest - lowest
    spreads = [drawn.spread_against(i) for i in range(c)]
    se, units, freedom = (np.stack([getattr(s, name) for s in spreads]) for name in ("se", "units", "freedom"))
    difference = np.subtract.outer(drawn.point, drawn.point)
    difference[np.diag_indices(c)] = np.nan

    def bounds(z: float | Floats) -> Bounds:
        return difference_bounds(difference, stretched(se, freedom, z), units, z, span=span)

    # Standard errors at which either bound meets -margin; where not even 0 clears it, p is about one half.
    clear = _furthest(lambda z: bounds(z).low > -margin, (c, c))
    short = _furthest(lambda z: bounds(z).high < -margin, (c, c))
    lower = bounds(float(-special.ndtri(alpha))).low
    p_value = np.where(np.isnan(lower), np.nan, special.ndtr(short - clear))
    return NonInferiority(margin, alpha, difference, lower, p_value)


def _furthest(holds: Callable[[Floats], NDArray[np.bool_]], shape: tuple[int, int]) -> Floats:
    """The largest z for which each entry holds, by halving; 0 where it holds nowhere."""
    low, high = np.zeros(shape), np.full(shape, _WIDEST)
    for _ in range(40):
        middle = (low + high) / 2
        held = holds(middle)
        low, high = np.where(held, middle, low), np.where(held, high, middle)
    return low
