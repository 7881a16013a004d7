"""The pictures of the ladder: quality against cost, and intervals rung by rung. Drawn by Altair, rendered offline to SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rung.report.axes import cost_axis, round_ticks
from rung.report.curves import Curves, draw_curves
from rung.report.ladder import Ladder, Line
from rung.report.numbers import Numbers
from rung.report.pencil import SIZE, altair, axis_looks, points, reserve, rows, target_line, thin_line, title, word
from rung.report.placing import Box, Dot, place_labels
from rung.report.svg import TOKENS, to_svg
from rung.report.text import clean, clip, width
from rung.report.words import Words

LONGEST = 34
"""Characters of a name in a picture; the table below it has the whole of it."""
_IMPORTANCE = {"winner": 0, "tied": 1, "other": 2}


@dataclass(frozen=True)
class Picture:
    """One picture in the two widths that the page switches between."""

    wide: str
    narrow: str


@dataclass(frozen=True)
class Pictures:
    """All that the page shows; None where there is nothing to draw."""

    cost: Picture | None = None
    intervals: Picture | None = None
    curves: Curves | None = None


def draw(ladder: Ladder, words: Words, numbers: Numbers, target: float | None) -> Pictures:
    """Every picture of a run."""
    artist = Artist(ladder, words, numbers, target)
    return Pictures(artist.cost(), artist.intervals(), draw_curves(ladder, words, numbers))


@dataclass(frozen=True)
class Artist:
    """Draws one run in one language. Widths and heights are pixels of the plotting area."""

    ladder: Ladder
    words: Words
    numbers: Numbers
    target: float | None

    @property
    def factor(self) -> float:
        return self.numbers.factor(self.ladder.metric)

    def cost(self) -> Picture | None:
        """Quality with its interval against cost per 1,000 answers; None where the costs do not differ."""
        lines = [line for line in self.ladder.tested if line.standing and line.quality.point is not None]
        if len({_cost(line) for line in lines}) < 2:
            return None
        lines = sorted(lines, key=lambda line: _IMPORTANCE[line.place])
        return Picture(self._cost(lines, 720, 400, margin=130), self._cost(lines, 214, 350, margin=78))

    def _cost(self, lines: list[Line], across: int, down: int, *, margin: int) -> str:
        """`margin`: room for labels to the right of the plot."""
        alt = altair()
        low, high = self._range(lines)
        costs = cost_axis([_cost(line) for line in lines], min(8, across // 50))
        x_scale = alt.Scale(
            type="log" if costs.log else "linear", domain=[costs.low, costs.high], nice=False, zero=False
        )
        x_axis = alt.Axis(
            values=list(costs.ticks),
            labelExpr=costs.label_expression(self.numbers.money),
            title=self.words("axis.cost_log" if costs.log else "axis.cost"),
            grid=False,
            **axis_looks(),
        )
        y_scale = alt.Scale(domain=[low, high], nice=False, zero=False)

        def height(quality: float) -> float:
            return down * (high - quality) / (high - low)

        drawn = [self._row(line) | {"cost": costs.put(_cost(line))} for line in lines]
        dots = [
            Dot(
                costs.share(_cost(line)) * across,
                height(row["point"]),
                height(row["high"]),
                height(row["low"]),
                row["name"],
            )
            for line, row in zip(lines, drawn, strict=True)
        ]
        layers = [reserve(0, across + margin)]
        blocked = []
        if self.target is not None:
            at = height(self.target * self.factor)
            blocked = [Box(0, at - 1, across, at + 1), Box(across, at - 9, across + margin, at + 9)]
            layers.append(target_line(y=alt.YDatum(self.target * self.factor, scale=y_scale)))
            said = self.words("axis.target", target=self.numbers.point(self.target, self.ladder.metric))
            layers += word(said, across + 6, at, color="target")
        spots = place_labels(dots, Box(4, 2, across + margin, down - 2), size=SIZE, blocked=blocked)
        layers += [thin_line(dot.x, dot.y, spot.x, spot.y) for dot, spot in zip(dots, spots, strict=True) if spot.far]
        data = rows(drawn)
        x = alt.X("cost:Q", scale=x_scale, axis=x_axis)
        span = data.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.45)
        y = alt.Y("low:Q", scale=y_scale, axis=self._quality_axis(low, high))
        layers.append(span.encode(x=x, y=y, y2="high:Q", color=alt.Color("color:N", scale=None, legend=None)))
        layers.append(points(data).encode(x=x, y=alt.Y("point:Q", scale=y_scale)))
        for row, dot, spot in zip(drawn, dots, spots, strict=True):
            won = row["place"] == "winner"
            layers += word(dot.label, spot.x, spot.y, align=spot.align, color="winner" if won else "ink", strong=won)
        named = self.words("axis.quality", metric=self.words.metric(self.ladder.metric))
        return to_svg(alt.layer(*layers).properties(width=across, height=down, title=title(named)))

    def intervals(self) -> Picture | None:
        """One horizontal interval a rung, in ladder order."""
        lines = [line for line in self.ladder.tested if line.quality.point is not None]
        if not lines:
            return None
        return Picture(
            wide=self._intervals(lines, across=420, step=34, above=False),
            narrow=self._intervals(lines, across=312, step=50, above=True),
        )

    def _intervals(self, lines: list[Line], *, across: int, step: int, above: bool) -> str:
        """`above`: names and numbers stand over the intervals instead of beside them, for a narrow page."""
        alt = altair()
        low, high = self._range(lines)
        drawn = [self._row(line) | {"order": i + 0.5 + 0.2 * above} for i, line in enumerate(lines)]
        scale = alt.Scale(domain=[low, high], nice=False, zero=False)
        y = alt.Y("order:Q", axis=None, scale=alt.Scale(domain=[len(drawn), 0], nice=False, zero=False))
        names = max(width(row["name"]) for row in drawn) * SIZE * 0.58
        said = max(width(row["said"]) for row in drawn) * SIZE * 0.58
        layers = [reserve(-4, across + 4) if above else reserve(-names - 14, across + 14 + said)]
        if self.target is not None:
            layers.append(target_line(x=alt.XDatum(self.target * self.factor, scale=scale)))
        data = rows(drawn)
        x = alt.X("low:Q", scale=scale, axis=self._quality_axis(low, high, named=True))
        span = data.mark_rule(strokeWidth=4, strokeCap="round", opacity=0.45)
        layers.append(span.encode(x=x, x2="high:Q", y=y, color=alt.Color("color:N", scale=None, legend=None)))
        layers.append(points(data).encode(x=alt.X("point:Q", scale=scale), y=y))
        for i, row in enumerate(drawn):
            at = step * (i + (0.36 if above else 0.5))
            won = row["place"] == "winner"
            layers += word(row["name"], 2 if above else -14, at, align="left" if above else "right", strong=won)
            left = across - 2 if above else across + 14
            layers += word(row["said"], left, at, align="right" if above else "left", color="muted")
        return to_svg(alt.layer(*layers).properties(width=across, height=step * len(drawn)))

    def _row(self, line: Line) -> dict[str, Any]:
        """What a mark needs of a line; an interval that is not known is as long as its point."""
        q = line.quality
        point = (q.point or 0.0) * self.factor
        color = TOKENS["other" if line.place == "other" else "winner"]
        return {
            "name": clip(clean(line.name), LONGEST),
            "said": clean(self.numbers.quality(q, self.ladder.metric)),
            "point": point,
            "low": point if q.low is None else q.low * self.factor,
            "high": point if q.high is None else q.high * self.factor,
            "place": line.place,
            "color": color,
            "fill": TOKENS["paper"] if line.place == "tied" else color,
        }

    def _range(self, lines: Sequence[Line]) -> tuple[float, float]:
        """Ends of the quality axis: all intervals and the target, with some air."""
        ends = [v for line in lines for v in (line.quality.low, line.quality.point, line.quality.high) if v is not None]
        ends += [self.target] if self.target is not None else []
        low, high = min(ends) * self.factor, max(ends) * self.factor
        air = 0.07 * (high - low) or 0.05 * (abs(high) or 1.0)
        if self.numbers.share(self.ladder.metric):
            # A share ends at 0 and 100, but a mark on the very edge would be cut in half.
            return max(-1.5, low - air), min(101.5, high + air)
        return low - air, high + air

    def _quality_axis(self, low: float, high: float, *, named: bool = False) -> Any:
        return altair().Axis(
            values=list(round_ticks(low, high, 6)),
            title=self.words.metric(self.ladder.metric) if named else None,
            grid=True,
            labelExpr=f"format(datum.value, '~g') + '{self.numbers.unit(self.ladder.metric)}'",
            **axis_looks(),
        )


def _cost(line: Line) -> float:
    return line.standing.cost_per_1000 if line.standing else 0.0
