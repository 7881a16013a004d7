"""Axes worked out by hand: the cost axis with its zero and its log scale, and round ticks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LOG_FROM = 30.0
"""Costs spread wider than this are drawn on a log scale."""


@dataclass(frozen=True)
class CostAxis:
    """Where a cost lies. On a log scale a cost of zero gets a place of its own at the left end."""

    log: bool
    low: float
    high: float
    zero_at: float
    ticks: tuple[float, ...]

    def put(self, cost: float) -> float:
        """The value to draw a cost at."""
        return self.zero_at if cost <= 0 else cost

    def share(self, cost: float) -> float:
        """How far along the axis a cost lies, 0 to 1."""
        value = self.put(cost)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def label_expression(self, name: Callable[[float], str]) -> str:
        """A Vega expression that names every tick as `name` does, and the place of zero as zero."""
        found = '""'
        for tick in sorted(self.ticks, reverse=True):
            text = name(0.0 if tick == self.zero_at else tick)
            found = f"abs(datum.value - {tick!r}) < {abs(tick) * 1e-6 + 1e-15!r} ? {json.dumps(text)} : {found}"
        return found


def cost_axis(costs: Sequence[float], most_ticks: int) -> CostAxis:
    """An axis for at least two different costs."""
    above = [cost for cost in costs if cost > 0]
    least, most = min(above), max(above)
    if most / least <= LOG_FROM:
        ticks = round_ticks(0.0, most * 1.08, most_ticks)
        return CostAxis(log=False, low=-0.04 * most, high=most * 1.1, zero_at=0.0, ticks=ticks)
    span = math.log10(most / least)
    air = 10 ** (0.06 * span + 0.05)
    zero_at = least / 10 ** (0.14 * span + 0.2)
    has_zero = len(above) < len(costs)
    decades = [
        10.0**power for power in range(math.ceil(math.log10(least / air)), math.floor(math.log10(most * air)) + 1)
    ]
    kept = decades[:: math.ceil(len(decades) / most_ticks)] or [least]
    shown = [tick for tick in kept if not has_zero or tick > math.sqrt(zero_at * least)]
    return CostAxis(
        log=True,
        low=(zero_at if has_zero else least) / air,
        high=most * air,
        zero_at=zero_at,
        ticks=(zero_at, *shown) if has_zero else tuple(shown),
    )


def round_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    """At most `most` + 1 multiples of 1, 2 or 5 times a power of ten between two ends."""
    if high <= low:
        return (low,)
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return tuple(round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1))
