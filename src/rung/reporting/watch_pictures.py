"""The pictures of a look at the traffic: answers, speed and thumbs day by day, and how large every change is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rung.reporting.axes import round_ticks
from rung.reporting.charts import Picture
from rung.reporting.pencil import altair, axis_looks, reserve, rows, target_line, title, word
from rung.reporting.placing import text_width
from rung.reporting.svg import TOKENS, to_svg
from rung.reporting.words import Words
from rung.store.watch import Day, Watch

_WIDE, _NARROW = 300, 292
_HEIGHT = 170
_STEP = 26
_MOST_SIZE = 5.0
"""Where the scale of sizes ends; larger ones are drawn up to here, with their number beside them."""
_COLORS = {"alarm": "target", "slight": "other", "steady": "other"}


@dataclass(frozen=True)
class Mark:
    """One line of a legend."""

    name: str
    color: str
    dash: str = "1 0"


@dataclass(frozen=True)
class Panel:
    """One picture of days with its legend."""

    svg: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Pictures:
    """None, or empty, where there is nothing to draw."""

    panels: tuple[Panel, ...]
    sizes: Picture | None


def draw_watch(found: Watch, words: Words) -> Pictures:
    return Pictures(tuple(_panels(found, words)), _sizes(found, words))


def _panels(found: Watch, words: Words) -> list[Panel]:
    days, panels = found.days, []
    if any(day.answers for day in days):
        series = ((words("watch.per_day_answered"), "winner", [day.answers - day.failures for day in days]),
                  (words("watch.per_day_failed"), "target", [day.failures for day in days]))  # fmt: skip
        panels.append(_bars(words("watch.per_day"), days, series))
    if any(day.latency_p95 is not None for day in days):
        panels.append(_speed(found, words))
    if any(day.up or day.down for day in days):
        series = ((words("watch.up"), "winner", [day.up for day in days]),
                  (words("watch.down"), "target", [day.down for day in days]))  # fmt: skip
        panels.append(_bars(words("watch.thumbs_per_day"), days, series))
    return panels


def _x(days: Sequence[Day]) -> Any:
    """Days side by side, a few of them named by month and day."""
    alt = altair()
    every = -(-len(days) // 5)
    named = [day.day for day in days[::every]]
    axis = alt.Axis(
        title=None, grid=False, values=named, labelExpr="slice(datum.label, 5)", labelAngle=0, **axis_looks()
    )
    return alt.X(
        "day:O", sort=[day.day for day in days], axis=axis, scale=alt.Scale(paddingInner=0.25, paddingOuter=0.2)
    )


def _y(field: str, top: float, **more: Any) -> Any:
    alt = altair()
    ticks = round_ticks(0.0, top or 1.0, 4)
    axis = alt.Axis(title=None, values=list(ticks), labelExpr="format(datum.value, ',~r')", **axis_looks())
    return alt.Y(field, axis=axis, scale=alt.Scale(domain=[0, max(top or 1.0, *ticks) * 1.05], nice=False), **more)


def _bars(named: str, days: Sequence[Day], series: Sequence[tuple[str, str, list[int]]]) -> Panel:
    alt = altair()
    layers, lows = [], [0] * len(days)
    top = max(sum(counts[n] for _, _, counts in series) for n in range(len(days)))
    for _, color, counts in series:
        data = [
            {"day": day.day, "low": low, "high": low + count}
            for day, low, count in zip(days, lows, counts, strict=True)
            if count
        ]
        lows = [low + count for low, count in zip(lows, counts, strict=True)]
        if data:
            bar = rows(data).mark_bar(color=TOKENS[color], cornerRadiusTopLeft=1, cornerRadiusTopRight=1)
            layers.append(bar.encode(x=_x(days), y=_y("low:Q", top), y2="high:Q"))
    chart = alt.layer(*layers).properties(width=_WIDE, height=_HEIGHT, title=title(named, strong=True))
    return Panel(to_svg(chart), tuple(Mark(name, color) for name, color, _ in series))


def _speed(found: Watch, words: Words) -> Panel:
    alt = altair()
    lines = (
        (words("watch.p50"), "winner", "1 0", "latency_p50"),
        (words("watch.p95"), "series3", "7 3", "latency_p95"),
    )
    tops = [getattr(day, field) for day in found.days for *_, field in lines if getattr(day, field) is not None]
    proof = found.latency_p95
    top = max([*tops, *([] if proof is None else [proof])])
    layers, marks = [], []
    for name, color, dash, field in lines:
        data = [{"day": day.day, "value": value} for day in found.days if (value := getattr(day, field)) is not None]
        base = rows(data).encode(x=_x(found.days), y=_y("value:Q", top))
        strokes = [int(length) for length in dash.split()]
        layers += [
            base.mark_line(strokeWidth=2, strokeDash=strokes, color=TOKENS[color]),
            base.mark_point(filled=True, size=30, opacity=1, color=TOKENS[color]),
        ]
        marks.append(Mark(name, color, dash))
    if proof is not None:
        layers.append(target_line(y=alt.datum(proof)))
        marks.append(Mark(words("watch.p95_proof"), "target", "5 4"))
    chart = alt.layer(*layers).properties(
        width=_WIDE, height=_HEIGHT, title=title(words("watch.speed_per_day"), strong=True)
    )
    return Panel(to_svg(chart), tuple(marks))


def _sizes(found: Watch, words: Words) -> Picture | None:
    """A bar for every measure that was tested."""
    tested = [measure for measure in found.measures if measure.size is not None and measure.status in _COLORS]
    if not tested:
        return None
    named = [(words(f"watch.m_{m.name}"), max(0.0, m.size or 0.0), _COLORS[m.status]) for m in tested]
    return Picture(_beside(named), _above(named))


def _beside(named: Sequence[tuple[str, float, str]]) -> str:
    """Names to the left of the bars."""
    wide = 380
    left = max(text_width(name) for name, _, _ in named)
    layers = [reserve(-left - 14, wide + 50)]
    middles = [_STEP * (n + 0.5) for n in range(len(named))]
    layers += _size_bars(named, middles, down=_STEP * len(named), wide=wide)
    for (name, _, _), at in zip(named, middles, strict=True):
        layers += word(name, -14, at, align="right")
    return to_svg(altair().layer(*layers).properties(width=wide, height=_STEP * len(named)))


def _above(named: Sequence[tuple[str, float, str]]) -> str:
    """Names over the bars, for a narrow page."""
    step = 44
    layers = [reserve(-4, _NARROW + 4)]
    tops = [step * n for n in range(len(named))]
    layers += _size_bars(named, [top + 32 for top in tops], down=step * len(named), wide=_NARROW - 44)
    for (name, _, _), top in zip(named, tops, strict=True):
        layers += word(name, 2, top + 14)
    return to_svg(altair().layer(*layers).properties(width=_NARROW - 44, height=step * len(named)))


def _size_bars(
    named: Sequence[tuple[str, float, str]], middles: Sequence[float], *, down: float, wide: float
) -> list[Any]:
    alt = altair()
    end = _MOST_SIZE
    axis = alt.Axis(values=[0, 1, 2, 3, 4, 5], title=None, format="~g", **axis_looks())
    scale = alt.Scale(domain=[0, end], nice=False)
    heights = alt.Scale(domain=[0, down], range=[0, down], nice=False)
    data = rows(
        [
            {"zero": 0.0, "size": min(size, end), "top": at - 6, "bottom": at + 6, "color": TOKENS[color]}
            for (_, size, color), at in zip(named, middles, strict=True)
        ]
    )
    bars = data.mark_rect(opacity=0.8).encode(
        x=alt.X("zero:Q", scale=scale, axis=axis),
        x2="size:Q",
        y=alt.Y("top:Q", axis=None, scale=heights),
        y2="bottom:Q",
        color=alt.Color("color:N", scale=None, legend=None),
    )
    layers = [bars, target_line(x=alt.datum(1.0))]
    for (_, size, _), at in zip(named, middles, strict=True):
        layers += word(f"{size:.1f}", wide * min(size, end) / end + 8, at, color="muted")
    return layers
