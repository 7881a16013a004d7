"""The picture of what tuning cost: a bar before and one after, with intervals, and training questions beside dev."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rung.reporting.charts import Picture
from rung.reporting.letters import clean
from rung.reporting.numbers import Numbers
from rung.reporting.pencil import altair, axis_looks, reserve, rows, word
from rung.reporting.placing import text_width
from rung.reporting.svg import TOKENS, to_svg
from rung.reporting.words import Words
from rung.store.aftermath import Aftermath
from rung.store.records import Interval

_SHARE = "accuracy"
_WIDE, _NARROW = 380, 286
_STEP, _GAP = 26, 12
"""Pixels of a bar, and between pairs of bars."""
_NARROW_STEP = 44


@dataclass(frozen=True)
class _Bar:
    name: str
    said: str
    interval: Interval
    color: str
    top: int
    """How many pairs lie above."""


def draw_aftermath(found: Aftermath, words: Words, numbers: Numbers) -> Picture | None:
    """None where there is no share to show."""
    bars = _bars(found, words, numbers)
    if not bars:
        return None
    return Picture(_beside(bars), _above(bars))


def _bars(found: Aftermath, words: Words, numbers: Numbers) -> list[_Bar]:
    pairs: list[list[tuple[str, Interval, str]]] = []
    for part in found.ability:
        if part.share.name != "all" and part.share.n:
            what = words(f"aftermath.part_{part.share.name}")
            pairs.append(_pair(what, part.share.before, part.share.after, words))
    if found.verbatim and found.verbatim[0].share.n:
        share = found.verbatim[0].share
        pairs.append(_pair(words("aftermath.bar_repeated"), share.before, share.after, words))
    gap = found.overfitting
    if gap is not None and numbers.share(found.metric):
        named = words.metric(found.metric)
        sides = (("aftermath.bar_train", gap.train, "target"), ("aftermath.bar_dev", gap.dev, "winner"))
        pairs.append([(words("aftermath.bar", what=named, side=words(key)), i, color) for key, i, color in sides])
    return [
        _Bar(clean(name), clean(numbers.quality(interval, _SHARE)), interval, color, top)
        for top, pair in enumerate(pairs)
        for name, interval, color in pair
        if interval.point is not None
    ]


def _pair(what: str, before: Interval, after: Interval, words: Words) -> list[tuple[str, Interval, str]]:
    sides = (("aftermath.before", before, "other"), ("aftermath.after", after, "winner"))
    return [(words("aftermath.bar", what=what, side=words(key)), side, color) for key, side, color in sides]


def _beside(bars: list[_Bar]) -> str:
    """Names to the left, numbers to the right."""
    middles = [_STEP * (i + 0.5) + _GAP * bar.top for i, bar in enumerate(bars)]
    names, said = (max(text_width(getattr(bar, key)) for bar in bars) for key in ("name", "said"))
    layers = [reserve(-names - 14, _WIDE + 14 + said)]
    down = middles[-1] + _STEP / 2
    layers += _drawn(bars, middles, down, thick=12)
    for bar, at in zip(bars, middles, strict=True):
        layers += word(bar.name, -14, at, align="right")
        layers += word(bar.said, _WIDE + 14, at, color="muted")
    return to_svg(altair().layer(*layers).properties(width=_WIDE, height=down))


def _above(bars: list[_Bar]) -> str:
    """Names and numbers over the bars, for a narrow page."""
    tops = [_NARROW_STEP * i + _GAP * bar.top for i, bar in enumerate(bars)]
    down = tops[-1] + _NARROW_STEP
    layers = [reserve(-4, _NARROW + 4), *_drawn(bars, [top + 32 for top in tops], down, thick=10)]
    for bar, top in zip(bars, tops, strict=True):
        layers += word(bar.name, 2, top + 14)
        layers += word(bar.said, _NARROW - 2, top + 14, align="right", color="muted")
    return to_svg(altair().layer(*layers).properties(width=_NARROW, height=down))


def _drawn(bars: list[_Bar], middles: list[float], down: float, *, thick: float) -> list[Any]:
    alt = altair()
    scale = alt.Scale(domain=[0, 101.5], nice=False, zero=False)
    axis = alt.Axis(
        values=[0, 25, 50, 75, 100], title=None, labelExpr="format(datum.value, '~g') + '%'", **axis_looks()
    )
    data = rows([_row(bar, at, thick) for bar, at in zip(bars, middles, strict=True)])
    heights = alt.Scale(domain=[0, down], range=[0, down], nice=False)
    top = alt.Y("top:Q", axis=None, scale=heights)
    color = alt.Color("color:N", scale=None, legend=None)
    bar = data.mark_rect(opacity=0.35).encode(
        x=alt.X("zero:Q", scale=scale, axis=axis), x2="point:Q", y=top, y2="bottom:Q", color=color
    )
    span = data.mark_rule(strokeWidth=3, strokeCap="round").encode(
        x=alt.X("low:Q", scale=scale), x2="high:Q", y=alt.Y("at:Q", axis=None, scale=heights), color=color
    )
    return [bar, span]


def _row(bar: _Bar, at: float, thick: float) -> dict[str, Any]:
    point = 100.0 * (bar.interval.point or 0.0)
    low, high = (point if end is None else 100.0 * end for end in (bar.interval.low, bar.interval.high))
    ends = {"low": low, "high": high, "zero": 0.0, "point": point}
    return {**ends, "at": at, "top": at - thick / 2, "bottom": at + thick / 2, "color": TOKENS[bar.color]}
