"""Questions that a model rewrote before the search: whether that paid on dev, and a handful of them before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.reporting.aftermath import Part
from rung.reporting.ladder import Ladder, Line
from rung.reporting.letters import one_line
from rung.reporting.numbers import Numbers
from rung.reporting.sections import Section
from rung.reporting.tables import Table
from rung.reporting.words import Words, catalogue

_CELL = 200
_SHARE = "accuracy"
"""Stands for any share of 1 where `Numbers` asks for a metric."""


def view_rewriting(ladder: Ladder, words: Words, numbers: Numbers) -> Section | None:
    """Of every rung that tried it or had a reason not to; None where none did."""
    parts = [
        _Sayer(line, step, ladder.metric, words, numbers).part()
        for line in ladder.lines
        for step in _steps(line)
        if f"rewriting.{step.get('why')}" in catalogue()
    ]
    if not parts:
        return None
    return Section("rewriting", words("rewriting.title"), words("rewriting.lead"), tuple(parts))


def _steps(line: Line) -> list[Mapping[str, Any]]:
    refined = line.outcome.notes.get("refined") if line.outcome else None
    return [step for step in refined or () if step.get("part") == "query"]


@dataclass(frozen=True)
class _Sayer:
    line: Line
    step: Mapping[str, Any]
    """As `methods.refine` has kept it."""
    metric: str
    words: Words
    numbers: Numbers

    @property
    def marks(self) -> bool:
        return bool(self.step.get("by", "marks") == "marks")

    def part(self) -> Part:
        words, step = self.words, self.step
        values = {
            "before": self._point(step.get("before")),
            "after": self._point(step.get("after")),
            "what": words("rewriting.found", k=step["k"]) if self.marks and step.get("k") else self._measure(),
            "gain": self._gain(),
            "low": self._low(),
        }
        samples = list(step.get("samples") or ())
        head = [words(f"rewriting.{key}") for key in ("question", "searched")]
        head += [words(f"rewriting.{'rank' if self.marks else 'score'}_{key}") for key in ("before", "after")]
        return Part(
            words(
                "rewriting.part",
                name=self.line.name,
                way=words.known(f"rewriting.way_{step['value']}", str(step["value"])),
            ),
            "fine" if step.get("kept") else "open",
            (words(f"rewriting.{step['why']}", **values),),
            more=Table(tuple(head), tuple(map(self._row, samples))) if samples else None,
            more_title=words("rewriting.open", n=len(samples), of=step.get("n", len(samples))),
            worded=True,
        )

    def _measure(self) -> str:
        return self.words("rewriting.found_some") if self.marks else self.words.metric(self.metric)

    @property
    def _as(self) -> str:
        return _SHARE if self.marks else self.metric

    def _point(self, value: float | None) -> str:
        return self.numbers.point(value, self._as)

    def _gain(self) -> str:
        before, after = self.step.get("before"), self.step.get("after")
        if before is None or after is None:
            return ""
        return self._points(after - before)

    def _low(self) -> str:
        low = self.step.get("low")
        return self.words("no_interval") if low is None else self._points(low)

    def _points(self, value: float) -> str:
        (text,) = self.numbers.steps([value], self._as, sign=True)
        return self.words("points", n=text) if self.numbers.share(self._as) else text

    def _row(self, sample: Mapping[str, Any]) -> tuple[str, ...]:
        words = self.words
        searched = [one_line(text, _CELL) for text in sample["searched"]]
        if sample.get("failure"):
            searched.append(words("rewriting.as_asked", kind=sample["failure"]))
        return (
            one_line(sample["question"], _CELL),
            " | ".join(searched),
            self._cell(sample["before"]),
            self._cell(sample["after"]),
        )

    def _cell(self, value: float | None) -> str:
        if not self.marks:
            return self._point(value)
        return self.words("rewriting.nowhere") if value is None else f"{value:g}"
