"""Learning curves: losses, dev score and learning rate over steps, a line for every trained rung and thin ones for its seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

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


FIELDS = ("loss", "dev_loss", "dev", "rate")
"""What is drawn, each in a picture of its own; named by `axis.*` of the words."""


@dataclass(frozen=True)
class Curves:
    """Training loss, loss and score on dev, and learning rate as SVG; an empty text where nothing was recorded."""

    loss: str
    dev: str
    series: tuple[Series, ...]
    dev_loss: str = ""
    rate: str = ""
    detailed: bool = False
    """Whether thin lines or a kept step are drawn, so that the page explains them."""


@dataclass(frozen=True)
class _Noted:
    """What one rung noted while it trained: a curve, or one for each seed."""

    line: Series
    curves: tuple[list[dict[str, Any]], ...]
    kept: int
    """The step whose weights were kept; 0 where that is not known."""


def draw_curves(ladder: Ladder, words: Words, numbers: Numbers) -> Curves | None:
    """The curves that methods noted while they trained; None where nothing was trained."""
    noted: list[_Noted] = []
    for line in ladder.lines:
        notes = line.outcome.notes if line.outcome else {}
        if curve := notes.get("curve"):
            i = len(noted)
            seeds = [list(found["curve"]) for found in notes.get("seed_curves") or ()]
            curves = tuple(seeds) if len(seeds) > 1 else (list(curve),)
            kept = int((notes.get("training") or {}).get("best_step") or 0) if len(curves) == 1 else 0
            series = Series(line.name, COLORS[i % len(COLORS)], DASHES[i % len(DASHES)])
            noted.append(_Noted(series, curves, kept))
    factor, unit = numbers.factor(ladder.metric), numbers.unit(ladder.metric)
    drawn = {
        field: _panel(
            noted, field, words, factor=factor if field == "dev" else 1.0, unit=unit if field == "dev" else ""
        )
        for field in FIELDS
    }
    if not any(drawn.values()):
        return None
    detailed = any(found.kept or len(found.curves) > 1 for found in noted)
    return Curves(**drawn, series=tuple(found.line for found in noted), detailed=detailed)


def _panel(noted: list[_Noted], field: str, words: Words, *, factor: float, unit: str) -> str:
    """One picture: a thick line for each rung, and thin ones below it for its seeds or the loss as it was."""
    thin: list[tuple[Series, list[dict[str, Any]]]] = []
    thick: list[tuple[Series, list[dict[str, Any]]]] = []
    rings: list[tuple[Series, dict[str, Any]]] = []
    for found in noted:
        curves = [_points(curve, field, factor) for curve in found.curves]
        curves = [curve for curve in curves if curve]
        if not curves:
            continue
        smooth = [smoothed(curve) if field == "loss" else curve for curve in curves]
        if len(curves) > 1:
            thin += [(found.line, thinned(curve)) for curve in smooth]
            thick.append((found.line, mean_line(smooth)))
            continue
        if field == "loss" and len(curves[0]) > FEW:
            thin.append((found.line, thinned(curves[0])))
        thick.append((found.line, thinned(smooth[0])))
        if field == "dev":
            rings += [(found.line, point) for point in curves[0] if found.kept and point["step"] == found.kept]
    if not thick:
        return ""
    alt = altair()
    values = [point["value"] for _, curve in (*thin, *thick) for point in curve]
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
    layers = [
        rows(curve).encode(x=x, y=y).mark_line(strokeWidth=1, strokeOpacity=0.35, color=TOKENS[line.color])
        for line, curve in thin
    ]
    for line, curve in thick:
        base = rows(curve).encode(x=x, y=y)
        dash = [int(length) for length in line.dash.split()]
        layers.append(base.mark_line(strokeWidth=2, strokeDash=dash, color=TOKENS[line.color]))
        if len(curve) <= FEW:
            layers.append(base.mark_point(filled=True, size=32, opacity=1, color=TOKENS[line.color]))
    for line, point in rings:
        ring = rows([point]).encode(x=x, y=y)
        layers.append(ring.mark_point(filled=False, size=150, opacity=1, strokeWidth=2, color=TOKENS[line.color]))
    named = words(f"axis.{field}")
    return to_svg(alt.layer(*layers).properties(width=320, height=180, title=title(named, strong=True)))


def _points(curve: list[dict[str, Any]], field: str, factor: float) -> list[dict[str, Any]]:
    return [{"step": p["step"], "value": p[field] * factor} for p in curve if p.get(field) is not None]


def smoothed(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A moving mean over about a twentieth of a curve; the weights of its first points are made to add up to one."""
    memory = 1.0 - 1.0 / max(2.0, len(curve) / 20.0)
    total = weight = 0.0
    found = []
    for point in curve:
        total, weight = memory * total + point["value"], memory * weight + 1.0
        found.append({"step": point["step"], "value": total / weight})
    return found


def mean_line(curves: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The mean of several curves, drawn where all of them are; between two of its points a curve is taken as straight."""
    xs = [[point["step"] for point in curve] for curve in curves]
    ys = [[point["value"] for point in curve] for curve in curves]
    first, last = max(x[0] for x in xs), min(x[-1] for x in xs)
    steps = sorted({step for x in xs for step in x if first <= step <= last})
    means = np.mean([np.interp(steps, x, y) for x, y in zip(xs, ys, strict=True)], axis=0) if steps else []
    return thinned([{"step": step, "value": float(value)} for step, value in zip(steps, means, strict=True)])


def thinned(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most MOST points: beyond that, neighbours are drawn as their mean, which also calms a loss noted at every step."""
    size = -(-len(curve) // MOST)
    parts = [curve[i : i + size] for i in range(0, len(curve), size)] if curve else []
    return [{key: sum(point[key] for point in part) / len(part) for key in ("step", "value")} for part in parts]
