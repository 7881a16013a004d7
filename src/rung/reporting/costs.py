"""Costs a month: the break-even picture, the table of where the money goes, and the volumes at which the cheaper one changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.reporting.axes import CostAxis
from rung.reporting.charts import Picture
from rung.reporting.curves import COLORS, DASHES, Series
from rung.reporting.ladder import Ladder
from rung.reporting.numbers import Numbers
from rung.reporting.pencil import altair, axis_looks, rows, title, word
from rung.reporting.placing import text_width
from rung.reporting.svg import TOKENS, to_svg
from rung.reporting.words import Words
from rung.store.costs import CostLine, Costs

MOST_LINES = len(COLORS)
FIRST_PAIRS = 6
"""Break-even volumes that are told at once; the others are folded away."""


@dataclass(frozen=True)
class CostRow:
    """One candidate of the table."""

    name: str
    line: CostLine
    place: str

    @property
    def upkeep(self) -> float:
        monthly = self.line.monthly
        return monthly.retraining + monthly.reindexing + monthly.people


@dataclass(frozen=True)
class CostView:
    """All that the section shows."""

    costs: Costs
    rows: tuple[CostRow, ...]
    picture: Picture | None
    series: tuple[Series, ...]
    left_out: int
    """Candidates that the picture has no room for: the dearest ones."""
    even: tuple[str, ...]
    rest: tuple[str, ...]
    never: int
    """Pairs of which the same one is cheaper at every volume."""
    summary: str
    note: str

    @property
    def has_machines(self) -> bool:
        return any(row.line.machines for row in self.rows)


def cost_view(
    costs: Costs | None,
    names: Mapping[str, str],
    words: Words,
    numbers: Numbers,
    *,
    winner: str | None = None,
    note: str = "",
) -> CostView | None:
    """None where nothing is known, or nothing costs anything. `note`: where the figures come from."""
    if costs is None or not any(line.monthly.total for line in costs.lines):
        return None
    drawn = [line for line in costs.lines if max(line.curve) > 0][:MOST_LINES]
    chosen = next((line for line in costs.lines if line.candidate == winner and max(line.curve) > 0), None)
    if chosen is not None and chosen not in drawn:
        drawn[-1] = chosen
    series = tuple(
        Series(names.get(line.candidate, line.candidate), COLORS[i], DASHES[i]) for i, line in enumerate(drawn)
    )
    told = _even(costs, names, words, winner)
    return CostView(
        costs=costs,
        rows=tuple(
            CostRow(names.get(line.candidate, line.candidate), line, "winner" if line.candidate == winner else "other")
            for line in costs.lines
        ),
        picture=_picture(costs, drawn, series, words, numbers) if drawn else None,
        series=series,
        left_out=len(costs.lines) - len(drawn),
        even=tuple(told[:FIRST_PAIRS]),
        rest=tuple(told[FIRST_PAIRS:]),
        never=sum(not pair.volumes for pair in costs.break_even),
        summary=words.of(costs.summary),
        note=note,
    )


def ladder_costs(costs: Costs | None, ladder: Ladder, words: Words, numbers: Numbers) -> CostView | None:
    """The section of a run's report."""
    names = {line.candidate: line.name for line in ladder.lines if line.candidate}
    winner = ladder.winner.candidate if ladder.winner else None
    return cost_view(costs, names, words, numbers, winner=winner, note=words("costs.note"))


def _even(costs: Costs, names: Mapping[str, str], words: Words, winner: str | None) -> list[str]:
    """A sentence for every pair that changes places, those with the winner first, then the nearest to the planned volume."""
    pairs = [pair for pair in costs.break_even if pair.volumes]
    planned = math.log(costs.monthly_volume)
    pairs.sort(
        key=lambda pair: (
            winner not in {pair.cheaper, pair.dearer},
            min(abs(math.log(volume) - planned) for volume in pair.volumes),
        )
    )
    told = []
    for pair in pairs:
        sentence = words(
            "costs.even",
            name=names.get(pair.dearer, pair.dearer),
            other=names.get(pair.cheaper, pair.cheaper),
            n=rounded(pair.volumes[0]),
        )
        again = [rounded(volume) for volume in pair.volumes[1:]]
        told.append(words("costs.again", sentence=sentence, n=words.join(again[:3])) if again else sentence)
    return told


def rounded(volume: float) -> str:
    """Two significant digits: no break-even volume is sharper than the prices it comes from."""
    digits = max(0, math.floor(math.log10(max(1.0, volume))) - 1)
    return f"{round(volume / 10**digits) * 10**digits:,.0f}"


def _picture(
    costs: Costs, drawn: Sequence[CostLine], series: Sequence[Series], words: Words, numbers: Numbers
) -> Picture:
    return Picture(
        wide=_plane(costs, drawn, series, words, numbers, across=720, down=340),
        narrow=_plane(costs, drawn, series, words, numbers, across=240, down=280),
    )


def _plane(
    costs: Costs,
    drawn: Sequence[CostLine],
    series: Sequence[Series],
    words: Words,
    numbers: Numbers,
    *,
    across: int,
    down: int,
) -> str:
    """Cost a month against answers a month, both on log scales, and a line at the planned volume."""
    alt = altair()
    spent = [cost for line in drawn for cost in line.curve if cost > 0]
    money = _log_axis(min(spent), max(spent), most=max(3, down // 55))
    volume = _log_axis(costs.volumes[0], costs.volumes[-1], most=max(3, across // 90), air=0.0)
    across_scale = alt.Scale(type="log", domain=[volume.low, volume.high], nice=False)
    x = alt.X(
        "volume:Q",
        scale=across_scale,
        axis=alt.Axis(
            values=list(volume.ticks),
            title=words("axis.volume"),
            grid=False,
            labelExpr=volume.label_expression(lambda tick: f"{tick:,.0f}"),
            **axis_looks(),
        ),
    )
    y = alt.Y(
        "cost:Q",
        scale=alt.Scale(type="log", domain=[money.low, money.high], nice=False),
        axis=alt.Axis(
            values=list(money.ticks), title=None, labelExpr=money.label_expression(numbers.money), **axis_looks()
        ),
    )
    planned = rows([{}]).mark_rule(strokeWidth=1.5, strokeDash=[5, 4], color=TOKENS["target"])
    layers: list[Any] = [planned.encode(x=alt.XDatum(costs.monthly_volume, scale=across_scale))]
    for line, look in zip(drawn, series, strict=True):
        points = [{"volume": at, "cost": cost} for at, cost in zip(costs.volumes, line.curve, strict=True) if cost > 0]
        mark = rows(points).mark_line(
            strokeWidth=2.5,
            strokeDash=[int(length) for length in look.dash.split()],
            color=TOKENS[look.color],
            interpolate="linear",
            clip=True,
        )
        layers.append(mark.encode(x=x, y=y))
    said = words("axis.planned", n=f"{costs.monthly_volume:,}")
    at = volume.share(costs.monthly_volume) * across
    right = at + 8 + text_width(said) > across
    layers += word(said, at + (-8 if right else 8), 10, align="right" if right else "left", color="target")
    return to_svg(alt.layer(*layers).properties(width=across, height=down, title=title(words("axis.month_cost"))))


def _log_axis(least: float, most_value: float, *, most: int, air: float = 0.06) -> CostAxis:
    """A log axis over two positive ends with ticks at powers of ten, or at 1, 2 and 5 where there are few of those."""
    span = max(0.3, math.log10(most_value / least))
    low, high = least / 10 ** (air * span), most_value * 10 ** (air * span)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if span < 2 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
    return CostAxis(log=True, low=low, high=high, zero_at=-1.0, ticks=tuple(ticks[:: math.ceil(len(ticks) / most)]))
