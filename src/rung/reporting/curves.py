"""Learning curves: training loss and dev score over steps, a line for every trained rung."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rung.reporting.axes import round_ticks
from rung.reporting.ladder import Ladder
from rung.reporting.numbers import Numbers
from rung.reporting.pencil import altair, axis_looks, rows, title
from rung.reporting.svg import TOKENS, to_svg
from rung.reporting.words import Words

COLORS = ("series1", "series2", "series3", "series4", "series5", "series6")
DASHES = ("1 0", "7 3", "2 3", "9 3 2 3", "12 4", "4 2")
"""Colour and dash change together, so that nobody has to tell colours apart."""
FEW = 12
"""Up to this many points of a line are marked."""
MOST = 120


@dataclass(frozen=True)
class Series:
    """One line of the pictures, as their legend needs it."""

    name: str
    color: str
    dash: str


@dataclass(frozen=True)
class Curves:
    """Training loss and dev score as SVG; an empty text where nothing was recorded."""

    loss: str
    dev: str
    series: tuple[Series, ...]


def draw_curves(ladder: Ladder, words: Words, numbers: Numbers) -> Curves | None:
    """The curves that methods noted while they trained; None where nothing was trained."""
    series: list[Series] = []
    noted: list[list[dict[str, Any]]] = []
    for line in ladder.lines:
        curve = line.outcome.notes.get("curve") if line.outcome else None
        if curve:
            i = len(series)
            series.append(Series(line.name, COLORS[i % len(COLORS)], DASHES[i % len(DASHES)]))
            noted.append(list(curve))
    loss = _panel(series, noted, "loss", words("axis.loss"), words)
    factor, unit = numbers.factor(ladder.metric), numbers.unit(ladder.metric)
    dev = _panel(series, noted, "dev", words("axis.dev"), words, factor=factor, unit=unit)
    return Curves(loss, dev, tuple(series)) if loss or dev else None


def _panel(
    series: list[Series],
    noted: list[list[dict[str, Any]]],
    field: str,
    named: str,
    words: Words,
    *,
    factor: float = 1.0,
    unit: str = "",
) -> str:
    drawn = [
        thinned([{"step": p["step"], "value": p[field] * factor} for p in curve if p.get(field) is not None])
        for curve in noted
    ]
    values = [point["value"] for curve in drawn for point in curve]
    if not values:
        return ""
    alt = altair()
    ticks = round_ticks(min(values), max(values), 4)
    low, high = min(*values, *ticks), max(*values, *ticks)
    air = 0.08 * (high - low) or 0.05 * (abs(high) or 1.0)
    y = alt.Y(
        "value:Q",
        scale=alt.Scale(domain=[low - air, high + air], nice=False, zero=False),
        axis=alt.Axis(
            values=list(ticks), title=None, labelExpr=f"format(datum.value, ',~g') + '{unit}'", **axis_looks()
        ),
    )
    x = alt.X("step:Q", axis=alt.Axis(title=words("axis.step"), grid=False, tickCount=4, format=",~d", **axis_looks()))
    layers = []
    for line, curve in zip(series, drawn, strict=True):
        base = rows(curve).encode(x=x, y=y)
        dash = [int(length) for length in line.dash.split()]
        layers.append(base.mark_line(strokeWidth=2, strokeDash=dash, color=TOKENS[line.color]))
        if len(curve) <= FEW:
            layers.append(base.mark_point(filled=True, size=32, opacity=1, color=TOKENS[line.color]))
    return to_svg(alt.layer(*layers).properties(width=320, height=180, title=title(named, strong=True)))


def thinned(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most MOST points: beyond that, neighbours are drawn as their mean, which also calms a loss noted at every step."""
    size = -(-len(curve) // MOST)
    parts = [curve[i : i + size] for i in range(0, len(curve), size)] if curve else []
    return [{key: sum(point[key] for point in part) / len(part) for key in ("step", "value")} for part in parts]
