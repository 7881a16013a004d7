"""The difference of two statistics from two separate sets of examples, such as training questions and dev questions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rung.stats.bootstrap import Draws, guarded_interval


@dataclass(frozen=True, slots=True)
class Gap:
    """First less second; nan where nothing can be said."""

    point: float
    low: float
    high: float


def unpaired_gap(first: Draws, second: Draws, *, level: float = 0.95, lowest: float = 0.0, highest: float = 1.0) -> Gap:
    """Interval for the difference of two independent statistics, each the only candidate of its draws.

    The two intervals are put together as squares (Newcombe 1998, method 10, for shares; Zou and Donner 2008, "Construction of
    confidence limits about effect measures", for anything that has an interval of its own). With those of
    `bootstrap.guarded_interval` the difference stays open where each side is all right or all wrong: 3 of 3 against 0 of 3
    is no proof. Fewer than two units on either side: nan. Raises ValueError where draws hold several candidates.
    """
    if len(first.point) != 1 or len(second.point) != 1:
        raise ValueError("each side is one candidate")
    sides = [(d.point[0], guarded_interval(d, level=level, lowest=lowest, highest=highest)) for d in (first, second)]
    (p, one), (q, other) = [(float(point), (float(b.low[0]), float(b.high[0]))) for point, b in sides]
    difference = p - q
    low = difference - math.hypot(p - one[0], other[1] - q)
    high = difference + math.hypot(one[1] - p, q - other[0])
    return Gap(difference, low, high)
