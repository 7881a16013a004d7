"""The pictures of a quality check: a map of topics, lengths, rows of each label, and the learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rung.data.quality.record import Curve, LabelCount, Lengths, Topics
from rung.reporting.axes import round_ticks
from rung.reporting.charts import Picture
from rung.reporting.curves import COLORS
from rung.reporting.letters import clean, clip
from rung.reporting.pencil import altair, axis_looks, reserve, rows, title, word
from rung.reporting.placing import Box, Dot, place_labels, text_width
from rung.reporting.svg import TOKENS, to_svg
from rung.reporting.words import Words

WIDE, NARROW = 940, 292
_NAMED = 20
"""Labels up to which each bar has its name; of more the shape alone is shown."""
_LONGEST_NAME = 30
_MARKS = (5, 16, 50)
_NARROW_DOTS = 350


def topic_map(topics: Topics, words: Words) -> Picture:
    """Every question as a dot in its topic's colour, the topic's number in its middle."""
    return Picture(_map(topics, words, WIDE, 500, named=True), _map(topics, words, NARROW, 300, named=False))


def _map(topics: Topics, words: Words, across: int, down: int, *, named: bool) -> str:
    alt = altair()
    dots = topics.map if named else topics.map[:_NARROW_DOTS]
    xs, ys = [dot.x for dot in topics.map], [dot.y for dot in topics.map]
    x_ends, y_ends = _air(min(xs), max(xs)), _air(min(ys), max(ys))
    data = rows([{"x": dot.x, "y": dot.y, "fill": TOKENS[topic_color(dot.topic)]} for dot in dots])
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=x_ends, nice=False, zero=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=y_ends, nice=False, zero=False))
    points = data.mark_circle(size=26 if named else 14, opacity=0.6).encode(
        x=x, y=y, color=alt.Color("fill:N", scale=None, legend=None)
    )
    layers = [reserve(0, across), points]
    middles = []
    for topic in topics.topics:
        members = [dot for dot in topics.map if dot.topic == topic.number]
        if members:
            at = _middle([dot.x for dot in members]), _middle([dot.y for dot in members])
            left = across * (at[0] - x_ends[0]) / (x_ends[1] - x_ends[0])
            top = down * (y_ends[1] - at[1]) / (y_ends[1] - y_ends[0])
            name = f"{topic.number} {words.join([*topic.words[:2]])}" if named and topic.words else str(topic.number)
            middles.append(Dot(left, top, top, top, clip(clean(name), 28)))
    if named:
        for dot, spot in zip(middles, place_labels(middles, Box(2, 2, across - 2, down - 2)), strict=True):
            layers += word(dot.label, spot.x, spot.y, align=spot.align, strong=True)
    else:
        for dot in middles:
            layers += word(dot.label, dot.x, dot.y, align="center", strong=True)
    return to_svg(alt.layer(*layers).properties(width=across, height=down))


def topic_color(number: int) -> str:
    """The colour of a topic, by the name of its role; six take turns, and numbers tell them apart."""
    return COLORS[(number - 1) % len(COLORS)]


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _air(low: float, high: float) -> list[float]:
    air = 0.05 * (high - low) or 1.0
    return [low - air, high + air]


def length_bars(lengths: Lengths, named: str) -> Picture:
    """A histogram; the last bar holds all beyond it, and is set apart by its colour."""
    return Picture(_lengths(lengths, WIDE - 50, 190, named), _lengths(lengths, NARROW - 45, 160, named))


def _lengths(lengths: Lengths, across: int, down: int, named: str) -> str:
    alt = altair()
    step = lengths.bins[0].high - lengths.bins[0].low
    beyond = len(lengths.bins) > 1 and lengths.bins[-1].high - lengths.bins[-1].low > 1.5 * step
    drawn = [
        {
            "low": bin.low,
            "high": bin.low + step,
            "n": bin.n,
            "fill": TOKENS["other" if beyond and bin is lengths.bins[-1] else "winner"],
        }
        for bin in lengths.bins
        if bin.n
    ]
    end = lengths.bins[-1].low + step
    last = lengths.bins[-1].low
    ticks = [tick for tick in round_ticks(0, end, max(3, across // 90)) if not beyond or tick < last - step] + (
        [last] if beyond else []
    )
    label = f"datum.value >= {last} ? '≥ ' + format(datum.value, ',~g') : format(datum.value, ',~g')"
    x = alt.X(
        "low:Q",
        scale=alt.Scale(domain=[0, end], nice=False),
        axis=alt.Axis(
            values=ticks,
            title=None,
            grid=False,
            labelExpr=label if beyond else "format(datum.value, ',~g')",
            **axis_looks(),
        ),
    )
    y = _counts(max(bin.n for bin in lengths.bins))
    bars = rows(drawn).mark_rect(stroke=TOKENS["paper"], strokeWidth=1)
    chart = bars.encode(x=x, x2="high:Q", y=y, y2=alt.YDatum(0), color=alt.Color("fill:N", scale=None, legend=None))
    return to_svg(chart.properties(width=across, height=down, title=title(named)))


def _counts(most: float, *, ticks: int = 4) -> Any:
    alt = altair()
    return alt.Y(
        "n:Q",
        scale=alt.Scale(domain=[0, most * 1.05], nice=False),
        axis=alt.Axis(
            values=[tick for tick in round_ticks(0, most, ticks) if tick == int(tick)],
            title=None,
            grid=True,
            labelExpr="format(datum.value, ',~g')",
            **axis_looks(),
        ),
    )


def label_bars(counts: Sequence[LabelCount], words: Words) -> Picture:
    """A bar a label: with names for few, ranked side by side for many."""
    if len(counts) <= _NAMED:
        named = words("quality.axis_labels")
        return Picture(_named_bars(counts, WIDE, named), _named_bars(counts, NARROW, named, above=True))
    named = words("quality.axis_ranked")
    return Picture(_ranked_bars(counts, WIDE - 90, 220, named), _ranked_bars(counts, NARROW - 70, 170, named))


def _named_bars(counts: Sequence[LabelCount], room: int, named: str, *, above: bool = False) -> str:
    alt = altair()
    names = [clip(clean(count.label), _LONGEST_NAME) for count in counts]
    margin = 4.0 if above else max(text_width(name) for name in names) + 14
    said = [f"{count.n:,}" for count in counts]
    numbers = max(map(text_width, said)) + 10
    across = room - margin - numbers
    step, thick, at = (40, 12, 0.72) if above else (26, 14, 0.5)
    most = max(1, *(count.n for count in counts))
    drawn = [
        {
            "low": 0,
            "high": count.n,
            "top": i + at - thick / step / 2,
            "bottom": i + at + thick / step / 2,
            "fill": TOKENS["target" if count.n < _MARKS[0] else "winner"],
        }
        for i, count in enumerate(counts)
    ]
    x = alt.X("low:Q", axis=None, scale=alt.Scale(domain=[0, most], nice=False))
    y = alt.Y("top:Q", axis=None, scale=alt.Scale(domain=[len(counts), 0], nice=False, zero=False))
    bars = (
        rows(drawn)
        .mark_rect()
        .encode(x=x, x2="high:Q", y=y, y2="bottom:Q", color=alt.Color("fill:N", scale=None, legend=None))
    )
    layers = [reserve(-margin, across + numbers), bars]
    for i, (name, n) in enumerate(zip(names, said, strict=True)):
        end = across * counts[i].n / most
        layers += word(n, end + 6, step * (i + at), color="muted")
        layers += word(name, 0, step * i + 14) if above else word(name, -10, step * (i + at), align="right")
    return to_svg(alt.layer(*layers).properties(width=across, height=step * len(counts), title=title(named)))


def _ranked_bars(counts: Sequence[LabelCount], across: int, down: int, named: str) -> str:
    alt = altair()
    most = max(count.n for count in counts)
    drawn = [
        {"low": i, "high": i + 1, "n": count.n, "fill": TOKENS["target" if count.n < _MARKS[0] else "winner"]}
        for i, count in enumerate(counts)
    ]
    x = alt.X("low:Q", axis=None, scale=alt.Scale(domain=[0, len(counts)], nice=False))
    bars = rows(drawn).mark_rect(stroke=TOKENS["paper"], strokeWidth=0.5 if len(counts) < 150 else 0)
    chart = bars.encode(
        x=x, x2="high:Q", y=_counts(most), y2=alt.YDatum(0), color=alt.Color("fill:N", scale=None, legend=None)
    )
    layers = [reserve(0, across + 40), chart]
    for mark in _MARKS:
        if mark < most:
            at = down * (1 - mark / (most * 1.05))
            line = rows([{}]).mark_rule(strokeWidth=1.5, strokeDash=[5, 4], color=TOKENS["target"])
            layers.append(line.encode(y=alt.value(at), x=alt.value(0), x2=alt.value(across)))
            layers += word(str(mark), across + 8, at, color="target")
    return to_svg(alt.layer(*layers).properties(width=across, height=down, title=title(named)))


def curve_picture(curve: Curve, words: Words) -> Picture:
    """Scores by training rows with their intervals, and a dashed line to twice as many."""
    return Picture(_curve(curve, WIDE - 340, 240, words), _curve(curve, NARROW - 50, 200, words))


def _curve(curve: Curve, across: int, down: int, words: Words) -> str:
    alt = altair()
    last = curve.points[-1]
    seen = [
        {"rows": p.rows, "score": _percent(p.score.point), "low": _percent(p.score.low), "high": _percent(p.score.high)}
        for p in curve.points
    ]
    ahead = {
        "rows": 2 * last.rows,
        "score": _percent(curve.doubled.point),
        "low": _percent(curve.doubled.low),
        "high": _percent(curve.doubled.high),
    }
    ends = [row[key] for row in (*seen, ahead) for key in ("low", "high")]
    low, high = min(ends), max(ends)
    air = 0.1 * (high - low) or 2.0
    domain = [max(-1.0, low - air), min(101.0, high + air)]
    ticks = round_ticks(domain[0], domain[1], 5)
    # Doublings lie equally far apart.
    x = alt.X(
        "rows:Q",
        scale=alt.Scale(type="log", domain=[seen[0]["rows"] / 1.15, ahead["rows"] * 1.15], nice=False),
        axis=alt.Axis(
            values=[row["rows"] for row in (*seen, ahead)],
            title=words("quality.axis_rows"),
            grid=False,
            labelExpr="format(datum.value, ',d')",
            **axis_looks(),
        ),
    )
    scale = alt.Scale(domain=domain, nice=False, zero=False)
    axis = alt.Axis(
        values=list(ticks), title=None, grid=True, labelExpr="format(datum.value, '~g') + '%'", **axis_looks()
    )
    y = alt.Y("score:Q", scale=scale, axis=axis)
    whiskers = rows([*seen, ahead]).mark_rule(strokeWidth=3, strokeCap="round", opacity=0.45, color=TOKENS["winner"])
    lines = rows(seen).mark_line(strokeWidth=2, color=TOKENS["winner"])
    dashed = rows([seen[-1], ahead]).mark_line(strokeWidth=2, strokeDash=[5, 4], color=TOKENS["other"])
    dots = rows(seen).mark_point(filled=True, size=70, opacity=1, color=TOKENS["winner"])
    ring = rows([ahead]).mark_point(
        filled=True, size=70, opacity=1, stroke=TOKENS["other"], strokeWidth=2, color=TOKENS["paper"]
    )
    layers = [
        whiskers.encode(x=x, y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"),
        dashed.encode(x=x, y=y),
        lines.encode(x=x, y=y),
        dots.encode(x=x, y=y),
        ring.encode(x=x, y=y),
    ]
    return to_svg(alt.layer(*layers).properties(width=across, height=down, title=title(words("quality.axis_score"))))


def _percent(value: float | None) -> float:
    return 100 * (value or 0.0)
