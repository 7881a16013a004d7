"""Base models side by side: a page with pictures of quality against what each takes, and the same table for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.durable import write_text
from rung.core.errors import Problem
from rung.core.task import Language
from rung.reporting.axes import cost_axis, round_ticks
from rung.reporting.charts import LONGEST, Picture
from rung.reporting.letters import clean, clip, wrap
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.page import in_both, render
from rung.reporting.pencil import SIZE, altair, axis_looks, points, reserve, rows, thin_line, title, word
from rung.reporting.placing import Box, Dot, place_labels, text_width
from rung.reporting.svg import TOKENS, to_svg
from rung.reporting.tables import align
from rung.reporting.words import Words
from rung.store.records import Pair
from rung.store.selection import ModelRow, Selection

TAKES = ("money", "seconds", "memory")
"""What quality is drawn against; each is a picture where it was measured and differs."""


@dataclass(frozen=True)
class Plane:
    """Quality against one resource."""

    what: str
    picture: Picture


def write_models(selection: Selection, folder: Path, language: Language) -> None:
    """`models.html` in one language, and beside it `models.<other>.html` in the other."""
    paths = in_both(folder / "models.html", language)
    names = {spoken: path.name for spoken, path in paths.items()}
    for spoken, path in paths.items():
        write_text(path, models_page(selection, spoken, names))
    # An earlier call may have had the languages the other way round.
    (folder / f"models.{language}.html").unlink(missing_ok=True)


def models_page(selection: Selection, language: Language, names: dict[Language, str] | None = None) -> str:
    """The whole page."""
    words = Words(language)
    numbers = Numbers(words, selection.currency)
    return render(
        "models.html",
        words,
        numbers,
        selection=selection,
        summary=words.of(selection.summary),
        planes=planes(selection, words, numbers),
        weights=weights(selection, words),
        lines=[_cells(row, selection, words, numbers) for row in selection.rows],
        pairs=[pair_sentence(pair, selection, words, numbers) for pair in selection.pairs],
        problem=problem,
        other=[(code, name) for code, name in (names or {}).items() if code != language],
        has_failed=any(row.failed for row in selection.rows),
    )


def models_text(selection: Selection, language: Language, *, columns: int = 100) -> str:
    """The summary and the table for a terminal."""
    words = Words(language)
    numbers = Numbers(words, selection.currency)
    keys = ("model", "score", "quality", "p50", "memory", "tokens", "money", "pareto")
    head = ["", *(words(f"models.{key}") for key in keys)]
    body = []
    for row in selection.rows:
        if row.status == "done":
            mark = "*" if row.name == selection.best else " "
            cells = _cells(row, selection, words, numbers)
            body.append([mark, *(clean(cell) for cell in cells.listed)])
    lost = [
        words("labelled", name=row.name, value=problem(row, words)) for row in selection.rows if row.status == "failed"
    ]
    blocks = [
        wrap(words.of(selection.summary), columns),
        align([head, *body], left=2) if body else [],
        [line for text in lost for line in wrap(text, columns)],
        wrap(weights(selection, words), columns),
        [
            line
            for pair in selection.pairs
            for line in wrap("- " + pair_sentence(pair, selection, words, numbers), columns)
        ],
    ]
    return clean("\n\n".join("\n".join(block) for block in blocks if block)) + "\n"


def problem(row: ModelRow, words: Words) -> str:
    """Why a model could not be compared."""
    return " ".join(Problem(p.code, p.where, dict(p.values)).message(words.language) for p in row.problems)


def weights(selection: Selection, words: Words) -> str:
    """How the score is made."""
    counted = [
        words("models.weight", name=words(f"models.part_{name}"), share=f"{100 * share:.3g}%")
        for name, share in selection.weights.items()
        if share
    ]
    return words("models.scaling", parts=words.join(counted), tolerance=f"{100 * selection.tolerance:.0f}%")


def pair_sentence(pair: Pair, selection: Selection, words: Words, numbers: Numbers) -> str:
    """One difference of quality with its simultaneous interval."""
    metric, gap = selection.metric, pair.difference
    if gap.low is None or gap.high is None or gap.point is None:
        return words("models.pair_unknown", a=pair.candidate, b=pair.other)
    point, low, high = numbers.steps([gap.point, gap.low, gap.high], metric, sign=True)
    if numbers.share(metric):
        point = words("points", n=point)
    key = "models.pair_better" if gap.low > 0 else "models.pair_unclear"
    return words(key, a=pair.candidate, b=pair.other, point=point, low=low, high=high)


@dataclass(frozen=True)
class Cells:
    """One row of the table as it is shown."""

    row: ModelRow
    score: str
    quality: str
    p50: str
    p95: str
    memory: str
    tokens_in: str
    tokens_out: str
    money: str
    pareto: str

    @property
    def listed(self) -> tuple[str, ...]:
        times = f"{self.p50} / {self.p95}"
        tokens = f"{self.tokens_in} / {self.tokens_out}"
        return (self.row.name, self.score, self.quality, times, self.memory, tokens, self.money, self.pareto)


def _cells(row: ModelRow, selection: Selection, words: Words, numbers: Numbers) -> Cells:
    dominated = words("models.dominated", names=words.join(row.dominated_by)) if row.dominated_by else ""
    return Cells(
        row=row,
        score=NONE if row.score.point is None else f"{row.score.point:.3f}",
        quality=numbers.quality(row.quality, selection.metric),
        p50=numbers.seconds(row.seconds_p50),
        p95=numbers.seconds(row.seconds_p95),
        memory=NONE if row.memory_gib is None else f"{row.memory_gib:.2f} GiB",
        tokens_in=f"{row.tokens_in:,.0f}",
        tokens_out=f"{row.tokens_out:,.1f}",
        money=numbers.money(row.money_per_1000),
        pareto=dominated or words("models.kept"),
    )


def planes(selection: Selection, words: Words, numbers: Numbers) -> list[Plane]:
    """Quality against money, seconds and memory, each where at least two models differ in it."""
    shown: dict[str, Callable[[float], str]] = {
        "money": numbers.money,
        "seconds": numbers.seconds,
        "memory": lambda value: f"{value:.3g} GiB",
    }
    fields = {"money": "money_per_1000", "seconds": "seconds_p50", "memory": "memory_gib"}
    found = []
    for what in TAKES:
        known = [
            (row, float(value))
            for row in selection.rows
            if row.quality.point is not None and (value := getattr(row, fields[what])) is not None
        ]
        if len({value for _, value in known}) < 2:
            continue
        wide, narrow = (
            _plane(
                selection, known, words(f"axis.models_{what}"), shown[what], words, numbers, across=across, down=down
            )
            for across, down in ((620, 320), (205, 300))
        )
        found.append(Plane(what, Picture(wide, narrow)))
    return found


def _plane(
    selection: Selection,
    known: Sequence[tuple[ModelRow, float]],
    named: str,
    show: Callable[[float], str],
    words: Words,
    numbers: Numbers,
    *,
    across: int,
    down: int,
) -> str:
    alt = altair()
    metric, margin = selection.metric, 210 if across > 400 else 90
    factor, unit = numbers.factor(metric), numbers.unit(metric)
    axis = cost_axis([value for _, value in known], max(2, min(7, across // 80)))
    drawn = [_mark(row, axis.put(value), factor, best=row.name == selection.best) for row, value in known]
    low, high = min(mark["low"] for mark in drawn), max(mark["high"] for mark in drawn)
    air = 0.07 * (high - low) or 1.0
    low, high = low - air, high + air

    def height(quality: float) -> float:
        return float(down * (high - quality) / (high - low))

    dots = [
        Dot(axis.share(value) * across, height(mark["point"]), height(mark["high"]), height(mark["low"]), mark["name"])
        for (_, value), mark in zip(known, drawn, strict=True)
    ]
    spots = place_labels(dots, Box(4, 2, across + margin, down - 2), size=SIZE)
    x = alt.X(
        "cost:Q",
        scale=alt.Scale(type="log" if axis.log else "linear", domain=[axis.low, axis.high], nice=False, zero=False),
        axis=alt.Axis(
            values=list(axis.ticks),
            labelExpr=axis.label_expression(show),
            title=words("axis.log", name=named) if axis.log else named,
            grid=False,
            **axis_looks(),
        ),
    )
    y_scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    y_axis = alt.Axis(
        values=list(round_ticks(low, high, 6)),
        title=None,
        labelExpr=f"format(datum.value, '~g') + '{unit}'",
        **axis_looks(),
    )
    right = max([across + margin - 20, *(dot.x + 20 + text_width(dot.label) for dot in dots)])
    layers = [reserve(0, min(right, across + margin))]
    layers += [thin_line(dot.x, dot.y, spot.x, spot.y) for dot, spot in zip(dots, spots, strict=True) if spot.far]
    data = rows(drawn)
    span = data.mark_rule(strokeWidth=3, strokeCap="round", opacity=0.45)
    layers.append(
        span.encode(
            x=x,
            y=alt.Y("low:Q", scale=y_scale, axis=y_axis),
            y2="high:Q",
            color=alt.Color("color:N", scale=None, legend=None),
        )
    )
    for mark, dot, spot in zip(drawn, dots, spots, strict=True):
        won = mark["place"] == "winner"
        layers += word(dot.label, spot.x, spot.y, align=spot.align, color="winner" if won else "ink", strong=won)
    layers.append(points(data).encode(x=x, y=alt.Y("point:Q", scale=y_scale)))
    heading = title(words("axis.quality", metric=words.metric(metric)))
    return to_svg(alt.layer(*layers).properties(width=across, height=down, title=heading))


def _mark(row: ModelRow, cost: float, factor: float, *, best: bool) -> dict[str, Any]:
    """The best is a diamond, a dominated model a grey circle, any other an open one."""
    q = row.quality
    point = (q.point or 0.0) * factor
    color = TOKENS["other" if row.dominated_by else "winner"]
    open_circle = not best and not row.dominated_by
    return {
        "name": clip(clean(row.name), LONGEST),
        "cost": cost,
        "point": point,
        "low": point if q.low is None else q.low * factor,
        "high": point if q.high is None else q.high * factor,
        "place": "winner" if best else "tied" if open_circle else "other",
        "color": color,
        "fill": TOKENS["paper"] if open_circle else color,
    }
