"""The pictures of the ladder: quality against cost, and intervals rung by rung. Drawn by Altair, rendered offline to SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rung.reporting.axes import cost_axis, round_ticks
from rung.reporting.curves import Curves, draw_curves
from rung.reporting.ladder import Ladder, Line
from rung.reporting.letters import clean, clip
from rung.reporting.numbers import Numbers
from rung.reporting.pencil import SIZE, altair, axis_looks, points, reserve, rows, target_line, thin_line, title, word
from rung.reporting.placing import Box, Dot, place_labels, text_width
from rung.reporting.svg import TOKENS, to_svg
from rung.reporting.words import Words

LONGEST = 34
"""Characters of a name in a picture; the table below it has the whole of it."""
NARROW_NAME = 125.0
"""Pixels of the longest name that labels a point on a narrow page."""
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
        margin = min(230, max(130, round(max(text_width(_short(line)) for line in lines)) + 20))
        narrow_margin = 24 if self.numbered and self.target is None else 78
        return Picture(
            wide=self._plane(lines, 850 - margin, 400, margin=margin),
            narrow=self._plane(lines, 292 - narrow_margin, 350, margin=narrow_margin, numbered=self.numbered),
        )

    @property
    def numbered(self) -> bool:
        """Whether a narrow page has no room for names at the points, so that numbers stand for them."""
        return any(text_width(_short(line)) > NARROW_NAME for line in self.ladder.tested)

    def _number(self, line: Line) -> int:
        return self.ladder.tested.index(line) + 1

    def _plane(self, lines: list[Line], across: int, down: int, *, margin: int, numbered: bool = False) -> str:
        """`margin`: room for labels to the right of the plot. `numbered`: numbers for names, as in the other picture."""
        alt = altair()
        drawn = [self._row(line) for line in lines]
        low, high = self._range(drawn)
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

        drawn = [row | {"cost": costs.put(_cost(line))} for line, row in zip(lines, drawn, strict=True)]
        dots = [
            Dot(
                x=costs.share(_cost(line)) * across,
                y=height(row["point"]),
                top=height(row["high"]),
                bottom=height(row["low"]),
                label=str(self._number(line)) if numbered else row["name"],
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
        for row, dot, spot in zip(drawn, dots, spots, strict=True):
            won = row["place"] == "winner"
            layers += word(dot.label, spot.x, spot.y, align=spot.align, color="winner" if won else "ink", strong=won)
        # Points come last: a halo must never hide one.
        layers.append(points(data).encode(x=x, y=alt.Y("point:Q", scale=y_scale)))
        named = self.words("axis.quality", metric=self.words.metric(self.ladder.metric))
        return to_svg(alt.layer(*layers).properties(width=across, height=down, title=title(named)))

    def intervals(self) -> Picture | None:
        """One horizontal interval a rung, in ladder order."""
        lines = [line for line in self.ladder.tested if line.quality.point is not None]
        if not lines:
            return None
        return Picture(self._beside(lines, across=420, step=34), self._above(lines, across=312))

    def _beside(self, lines: list[Line], *, across: int, step: int) -> str:
        """Names to the left and numbers to the right of the intervals."""
        drawn = [self._row(line) | {"at": i + 0.5} for i, line in enumerate(lines)]
        names, said = (max(text_width(row[key]) for row in drawn) for key in ("name", "said"))
        layers = [reserve(-names - 14, across + 14 + said), *self._spans(drawn, rows_high=len(drawn))]
        for i, row in enumerate(drawn):
            at = step * (i + 0.5)
            layers += word(row["name"], -14, at, align="right", strong=row["place"] == "winner")
            layers += word(row["said"], across + 14, at, color="muted")
        return to_svg(altair().layer(*layers).properties(width=across, height=step * len(drawn)))

    def _above(self, lines: list[Line], *, across: int) -> str:
        """Names and numbers over the intervals, for a narrow page; long names have a line of their own."""
        step, at = (66, 0.79) if self.numbered else (50, 0.7)
        drawn = [self._row(line) | {"at": i + at} for i, line in enumerate(lines)]
        layers = [reserve(-4, across + 4), *self._spans(drawn, rows_high=len(drawn))]
        for i, (line, row) in enumerate(zip(lines, drawn, strict=True)):
            won, top = row["place"] == "winner", step * i + 18
            if self.numbered:
                layers += word(f"{self._number(line)}. {row['name']}", 2, top, strong=won)
                layers += word(row["said"], 2, top + 17, color="muted")
            else:
                layers += word(row["name"], 2, top, strong=won)
                layers += word(row["said"], across - 2, top, align="right", color="muted")
        return to_svg(altair().layer(*layers).properties(width=across, height=step * len(drawn)))

    def _spans(self, drawn: list[dict[str, Any]], *, rows_high: int) -> list[Any]:
        """Horizontal intervals with their points at heights `at`, counted in rows, and the target."""
        alt = altair()
        low, high = self._range(drawn)
        scale = alt.Scale(domain=[low, high], nice=False, zero=False)
        y = alt.Y("at:Q", axis=None, scale=alt.Scale(domain=[rows_high, 0], nice=False, zero=False))
        x = alt.X("low:Q", scale=scale, axis=self._quality_axis(low, high, named=True))
        data = rows(drawn)
        span = data.mark_rule(strokeWidth=4, strokeCap="round", opacity=0.45)
        target = [] if self.target is None else [target_line(x=alt.XDatum(self.target * self.factor, scale=scale))]
        return [
            *target,
            span.encode(x=x, x2="high:Q", y=y, color=alt.Color("color:N", scale=None, legend=None)),
            points(data).encode(x=alt.X("point:Q", scale=scale), y=y),
        ]

    def _row(self, line: Line) -> dict[str, Any]:
        """What a mark needs of a line; an interval that is not known is as long as its point."""
        q = line.quality
        point = (q.point or 0.0) * self.factor
        color = TOKENS["other" if line.place == "other" else "winner"]
        return {
            "name": _short(line),
            "said": clean(self.numbers.quality(q, self.ladder.metric)),
            "point": point,
            "low": point if q.low is None else q.low * self.factor,
            "high": point if q.high is None else q.high * self.factor,
            "place": line.place,
            "color": color,
            "fill": TOKENS["paper"] if line.place == "tied" else color,
        }

    def _range(self, drawn: Sequence[dict[str, Any]]) -> tuple[float, float]:
        """Ends of the quality axis: all intervals and the target, with some air."""
        ends = [row[key] for row in drawn for key in ("low", "high")]
        ends += [self.target * self.factor] if self.target is not None else []
        low, high = min(ends), max(ends)
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


def _short(line: Line) -> str:
    return clip(clean(line.name), LONGEST)


def _cost(line: Line) -> float:
    return line.standing.cost_per_1000 if line.standing else 0.0
