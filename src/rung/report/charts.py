"""The pictures: quality against cost, intervals rung by rung, learning curves. Drawn by Altair, rendered offline to SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rung.report.axes import cost_axis, round_ticks
from rung.report.ladder import Ladder, Line
from rung.report.numbers import Numbers
from rung.report.placing import Box, Dot, Spot, place_labels
from rung.report.svg import TOKENS, to_svg
from rung.report.text import clean, clip
from rung.report.words import Words

SERIES = ("series1", "series2", "series3", "series4", "series5", "series6")
DASHES = ((1, 0), (7, 3), (2, 3), (9, 3, 2, 3))
SIZE = 12.5
LONGEST = 34
"""Characters of a name in a picture; the table beside it has the whole of it."""


@dataclass(frozen=True)
class Picture:
    """One picture in the two widths that the page switches between."""

    wide: str
    narrow: str


@dataclass(frozen=True)
class Series:
    """One line of the learning-curve pictures, as its legend needs it."""

    name: str
    color: str
    dash: str


@dataclass(frozen=True)
class Curves:
    """Training loss and dev score over training steps; an empty text where nothing was recorded."""

    loss: str
    dev: str
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Pictures:
    """All that the page shows; None where there is nothing to draw."""

    cost: Picture | None = None
    intervals: Picture | None = None
    curves: Curves | None = None


def draw(ladder: Ladder, words: Words, numbers: Numbers, target: float | None) -> Pictures:
    """Every picture of a run."""
    pencil = Pencil(ladder, words, numbers, target)
    return Pictures(pencil.cost(), pencil.intervals(), pencil.curves())


@dataclass(frozen=True)
class Pencil:
    """Draws one run in one language. Heights and widths are pixels of the plotting area."""

    ladder: Ladder
    words: Words
    numbers: Numbers
    target: float | None

    @property
    def factor(self) -> float:
        return 100.0 if self.numbers.share(self.ladder.metric) else 1.0

    @property
    def unit(self) -> str:
        return "%" if self.factor > 1 else ""

    def cost(self) -> Picture | None:
        """Quality with its interval against cost per 1,000 answers; None where the costs do not differ."""
        lines = [line for line in self.ladder.tested if line.standing and line.quality.point is not None]
        if len({_cost(line) for line in lines}) < 2:
            return None
        importance = {"winner": 0, "tied": 1, "other": 2}
        lines = sorted(lines, key=lambda line: importance[line.place])
        return Picture(self._cost(lines, 690, 390), self._cost(lines, 300, 350))

    def _cost(self, lines: list[Line], across: int, down: int) -> str:
        import altair as alt

        low, high = self._range(lines)
        costs = cost_axis([_cost(line) for line in lines], across // 90)
        x_scale = alt.Scale(type="log" if costs.log else "linear", domain=[costs.low, costs.high], nice=False, zero=False)
        x_axis = alt.Axis(
            values=list(costs.ticks),
            labelExpr=costs.label_expression(self.numbers.money),
            title=self.words("axis.cost_log" if costs.log else "axis.cost"),
            grid=False,
            **_axis_looks(),
        )
        y_scale = alt.Scale(domain=[low, high], nice=False, zero=False)
        y_axis = self._quality_axis(alt, low, high, title=False)

        def height(value: float | None) -> float:
            return down * (high - (value if value is not None else 0.0) * self.factor) / (high - low)

        rows = [self._row(line) | {"x": costs.put(_cost(line))} for line in lines]
        dots = []
        for line in lines:
            q = line.quality
            at = height(q.point)
            ends = (height(q.high), height(q.low)) if q.low is not None and q.high is not None else (at, at)
            dots.append(Dot(costs.share(_cost(line)) * across, at, *ends, label=_short(line.name)))
        blocked = []
        if self.target is not None:
            line_at = height(self.target)
            blocked = [Box(0, line_at - 1, across, line_at + 1), Box(across - 110, line_at - 18, across, line_at)]
        spots = place_labels(dots, Box(4, 2, across + 10, down - 2), size=SIZE, blocked=blocked)

        data = alt.Chart(alt.Data(values=rows))
        x = alt.X("x:Q", scale=x_scale, axis=x_axis)
        color = alt.Color("color:N", scale=None, legend=None)
        spans = data.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.45).encode(
            x=x, y=alt.Y("low:Q", scale=y_scale, axis=y_axis), y2="high:Q", color=color
        )
        points = self._points(alt, data).encode(x=x, y=alt.Y("point:Q", scale=y_scale))
        layers = [*self._target(alt, y_scale, across), spans, points]
        for row, dot, spot in zip(rows, dots, spots, strict=True):
            layers += _label(alt, row, dot, spot)
        return to_svg(alt.layer(*layers).properties(width=across, height=down, title=self._title(alt)))

    def intervals(self) -> Picture | None:
        """One horizontal interval a rung, in ladder order."""
        lines = [line for line in self.ladder.tested if line.quality.point is not None]
        return Picture(self._wide(lines), self._narrow(lines)) if lines else None

    def _wide(self, lines: list[Line]) -> str:
        return self._intervals(lines, across=420, step=34, above=False)

    def _narrow(self, lines: list[Line]) -> str:
        return self._intervals(lines, across=330, step=50, above=True)

    def _intervals(self, lines: list[Line], *, across: int, step: int, above: bool) -> str:
        """`above`: the names stand over the intervals instead of beside them, for a narrow page."""
        import altair as alt

        low, high = self._range(lines)
        rows = [self._row(line) | {"name": _short(line.name), "order": f"{i:03}"} for i, line in enumerate(lines)]
        data = alt.Chart(alt.Data(values=rows))
        scale = alt.Scale(domain=[low, high], nice=False, zero=False)
        axis = self._quality_axis(alt, low, high, title=True)
        y = alt.Y("order:O", axis=None, scale=alt.Scale(paddingInner=0.0, paddingOuter=0.0))
        color = alt.Color("color:N", scale=None, legend=None)
        layers = []
        if self.target is not None:
            rule = alt.Chart(alt.Data(values=[{"x": self.target * self.factor}]))
            layers.append(
                rule.mark_rule(strokeWidth=1.5, strokeDash=[5, 4], color=TOKENS["target"]).encode(x=alt.X("x:Q", scale=scale))
            )
        layers.append(
            data.mark_rule(strokeWidth=4, strokeCap="round", opacity=0.45).encode(
                x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", y=y, color=color
            )
        )
        layers.append(self._points(alt, data).encode(x=alt.X("point:Q", scale=scale), y=y))
        looks = {"fontSize": SIZE, "color": TOKENS["ink"], "baseline": "middle"}
        lift = {"dy": -15} if above else {}
        for weight, want in ((650, "winner"), (400, "")):
            part = data.transform_filter(f"(datum.place == 'winner') == {'true' if want else 'false'}")
            side = {"align": "left"} if above else {"align": "right"}
            at = alt.value(2) if above else alt.value(-14)
            layers.append(part.mark_text(**looks, **side, **lift, fontWeight=weight).encode(x=at, y=y, text="name:N"))
        value_side = {"align": "right"} if above else {"align": "left"}
        at = alt.value(across - 2) if above else alt.value(across + 14)
        layers.append(
            data.mark_text(**{**looks, "color": TOKENS["muted"]}, **value_side, **lift).encode(x=at, y=y, text="said:N")
        )
        return to_svg(alt.layer(*layers).properties(width=across, height=step * len(rows)))

    def curves(self) -> Curves | None:
        """Loss and dev score over steps, a line for every trained rung; None where nothing was trained."""
        rows: list[dict[str, Any]] = []
        series: list[Series] = []
        for line in self.ladder.lines:
            noted = line.outcome.notes.get("curve") if line.outcome else None
            if not noted:
                continue
            i = len(series)
            dash = DASHES[i // len(SERIES) % len(DASHES)] if i >= len(SERIES) else DASHES[i % len(DASHES)]
            color = SERIES[i % len(SERIES)]
            series.append(Series(line.name, color, " ".join(map(str, dash)) if dash != (1, 0) else ""))
            for point in noted:
                loss, dev = point.get("loss"), point.get("dev")
                rows.append({"series": i, "step": point.get("step"), "loss": loss, "dev": dev, "color": TOKENS[color]})
        if not series:
            return None
        loss = self._curve([row for row in rows if row["loss"] is not None], "loss", 1.0, "")
        dev = self._curve([row for row in rows if row["dev"] is not None], "dev", self.factor, self.unit)
        return Curves(loss, dev, tuple(series)) if loss or dev else None

    def _curve(self, rows: list[dict[str, Any]], field: str, factor: float, unit: str) -> str:
        import altair as alt

        if not rows:
            return ""
        data = [row | {"value": row[field] * factor} for row in rows]
        values = [row["value"] for row in data]
        ticks = round_ticks(min(values), max(values), 4)
        low, high = min(min(values), ticks[0]), max(max(values), ticks[-1])
        air = 0.08 * (high - low) or 0.05 * (abs(high) or 1.0)
        y = alt.Y(
            "value:Q",
            scale=alt.Scale(domain=[low - air, high + air], nice=False, zero=False),
            axis=alt.Axis(values=list(ticks), title=None, labelExpr=f"format(datum.value, ',~g') + '{unit}'", **_axis_looks()),
        )
        x = alt.X("step:Q", axis=alt.Axis(title=self.words("axis.step"), grid=False, tickCount=5, format=",~d", **_axis_looks()))
        layers = []
        for i in sorted({row["series"] for row in data}):
            own = [row for row in data if row["series"] == i]
            dash = DASHES[i // len(SERIES) % len(DASHES)] if i >= len(SERIES) else DASHES[i % len(DASHES)]
            base = alt.Chart(alt.Data(values=own)).encode(x=x, y=y)
            layers.append(base.mark_line(strokeWidth=2, strokeDash=list(dash), color=own[0]["color"]))
            if len(own) <= 12:
                layers.append(base.mark_point(filled=True, size=32, opacity=1, color=own[0]["color"]))
        title = alt.Title(self.words(f"axis.{field}"), anchor="start", fontSize=SIZE, fontWeight=600, color=TOKENS["ink"])
        return to_svg(alt.layer(*layers).properties(width=300, height=170, title=title))

    def _row(self, line: Line) -> dict[str, Any]:
        """What a mark needs of a line; an interval that is not known is as long as its point."""
        q = line.quality
        point = (q.point or 0.0) * self.factor
        return {
            "point": point,
            "low": point if q.low is None else q.low * self.factor,
            "high": point if q.high is None else q.high * self.factor,
            "place": line.place,
            "color": TOKENS["other" if line.place == "other" else "winner"],
            "fill": TOKENS["paper" if line.place == "tied" else "other" if line.place == "other" else "winner"],
            "said": clean(self.numbers.quality(q, self.ladder.metric)),
        }

    def _range(self, lines: Sequence[Line]) -> tuple[float, float]:
        """Ends of the quality axis: all intervals and the target, with some air; a share stays within 0 and 100."""
        ends = [v for line in lines for v in (line.quality.low, line.quality.point, line.quality.high) if v is not None]
        ends += [self.target] if self.target is not None else []
        low, high = min(ends) * self.factor, max(ends) * self.factor
        air = 0.07 * (high - low) or 0.05 * (abs(high) or 1.0)
        # A mark on the very edge would be cut in half.
        return (max(-1.5, low - air), min(101.5, high + air)) if self.unit else (low - air, high + air)

    def _quality_axis(self, alt: Any, low: float, high: float, *, title: bool) -> Any:
        return alt.Axis(
            values=list(round_ticks(low, high, 6)),
            title=self.words.metric(self.ladder.metric) if title else None,
            labelExpr=f"format(datum.value, '~g') + '{self.unit}'",
            **_axis_looks(),
        )

    def _title(self, alt: Any) -> Any:
        """The y axis is named on top, where it can be read without turning one's head."""
        text = self.words("axis.quality", metric=self.words.metric(self.ladder.metric))
        return alt.Title(text, anchor="start", fontSize=SIZE, fontWeight=400, color=TOKENS["muted"], offset=10, dx=-34)

    def _points(self, alt: Any, data: Any) -> Any:
        """Winner: a filled diamond. Tied: an open circle in its colour. Others: a filled grey circle."""
        shapes = alt.Scale(domain=["winner", "tied", "other"], range=["diamond", "circle", "circle"])
        sizes = alt.Scale(domain=["winner", "tied", "other"], range=[230, 110, 90])
        return data.mark_point(filled=True, opacity=1, strokeWidth=2.5).encode(
            shape=alt.Shape("place:N", scale=shapes, legend=None),
            size=alt.Size("place:N", scale=sizes, legend=None),
            stroke=alt.Stroke("color:N", scale=None, legend=None),
            fill=alt.Fill("fill:N", scale=None, legend=None),
        )

    def _target(self, alt: Any, scale: Any, across: int) -> list[Any]:
        if self.target is None:
            return []
        data = alt.Chart(alt.Data(values=[{"y": self.target * self.factor}]))
        y = alt.Y("y:Q", scale=scale)
        said = self.words("axis.target", target=self.numbers.point(self.target, self.ladder.metric))
        return [
            data.mark_rule(strokeWidth=1.5, strokeDash=[5, 4], color=TOKENS["target"]).encode(y=y),
            data.mark_text(align="right", dy=-8, fontSize=SIZE, color=TOKENS["target"]).encode(
                x=alt.value(across), y=y, text=alt.value(said)
            ),
        ]


def _cost(line: Line) -> float:
    return line.standing.cost_per_1000 if line.standing else 0.0


def _short(name: str) -> str:
    return clip(clean(name), LONGEST)


def _axis_looks() -> dict[str, Any]:
    return {
        "labelColor": TOKENS["muted"],
        "labelFontSize": 12,
        "titleColor": TOKENS["muted"],
        "titleFontSize": SIZE,
        "titleFontWeight": 400,
        "titlePadding": 10,
        "labelPadding": 6,
        "gridColor": TOKENS["grid"],
        "domainColor": TOKENS["faint"],
        "tickColor": TOKENS["faint"],
        "ticks": False,
        "domain": False,
    }


def _label(alt: Any, row: dict[str, Any], dot: Dot, spot: Spot) -> list[Any]:
    """A name beside its point, with a thin line to it when it had to stand back."""
    data = alt.Chart(alt.Data(values=[{"name": dot.label}]))
    winner = row["place"] == "winner"
    text = data.mark_text(
        align=spot.align,
        baseline="middle",
        fontSize=SIZE,
        fontWeight=650 if winner else 400,
        color=TOKENS["winner" if winner else "ink"],
    ).encode(x=alt.value(spot.x), y=alt.value(spot.y), text="name:N")
    if not spot.far:
        return [text]
    thin = data.mark_rule(strokeWidth=1, color=TOKENS["faint"]).encode(
        x=alt.value(dot.x), x2=alt.value(spot.x), y=alt.value(dot.y), y2=alt.value(spot.y)
    )
    return [thin, text]
