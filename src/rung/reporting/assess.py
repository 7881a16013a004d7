"""A feasibility study for people: the same content as text for a terminal, as Markdown and as a page, in either language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rung.core.task import Language
from rung.reporting.costs import CostView, cost_view
from rung.reporting.letters import clean, wrap
from rung.reporting.markdown import escape
from rung.reporting.numbers import Numbers
from rung.reporting.page import render
from rung.reporting.words import Words
from rung.store.assessment import Assessment, Rung


@dataclass(frozen=True)
class RungLine:
    """One rung as it is shown."""

    rung: Rung
    name: str
    advice: str
    expected: str
    reasons: tuple[tuple[str, str], ...]
    """(where it comes from, sentence)."""
    missing: tuple[str, ...]


class Teller:
    """An assessment in one language."""

    def __init__(self, assessment: Assessment, language: Language) -> None:
        self.assessment = assessment
        self.words = Words(language)
        self.numbers = Numbers(self.words, assessment.currency)

    @property
    def summary(self) -> str:
        return self.words.of(self.assessment.summary)

    @property
    def facts(self) -> list[str]:
        return [self.words.of(fact.text) for fact in self.assessment.facts]

    @property
    def answers(self) -> list[str]:
        return [
            self.words("labelled", name=self.words(f"assess.q_{name}"), value=value)
            for name, value in self.assessment.answers.items()
        ]

    @property
    def unknown(self) -> str:
        names = [self.words(f"assess.q_{name}") for name in self.assessment.unknown]
        return self.words("assess.unknown", names=self.words.join(names)) if names else ""

    @property
    def conflicts(self) -> list[str]:
        return [
            self.words(
                "assess.conflict", said=self.words.of(c.said), shown=self.words.of(c.shown), used=self.words.of(c.used)
            )
            for c in self.assessment.conflicts
        ]

    @property
    def rungs(self) -> list[RungLine]:
        several = len({rung.model for rung in self.assessment.rungs} - {"-"}) > 1
        return [self._rung(rung, several=several) for rung in self.assessment.rungs]

    def _rung(self, rung: Rung, *, several: bool) -> RungLine:
        name = self.words.method(rung.method)
        return RungLine(
            rung=rung,
            name=f"{name} · {rung.model}" if several and rung.model != "-" else name,
            advice=self.words(f"assess.advice_{rung.advice}"),
            expected=self._expected(rung),
            reasons=tuple((self.words(f"assess.basis_{r.basis}"), self.words.of(r.text)) for r in rung.reasons),
            missing=tuple(self.words.of(text) for text in rung.missing),
        )

    def _expected(self, rung: Rung) -> str:
        if rung.seconds is None:
            return ""
        parts = [
            self.words("assess.expected_time", time=self.numbers.seconds(rung.seconds)),
            self.words("assess.expected_once", money=self.numbers.money(rung.once)),
            self.words("assess.expected_serving", money=self.numbers.money(rung.per_1000)),
        ]
        if rung.latency is not None:
            parts.append(self.words("assess.expected_latency", time=self.numbers.seconds(rung.latency)))
        return self.words.join(parts)

    @property
    def missing(self) -> list[str]:
        return [self.words.of(text) for text in self.assessment.missing]

    @property
    def plan(self) -> list[str]:
        return [self.words.of(text) for text in self.assessment.plan]

    @property
    def assumptions(self) -> list[str]:
        return [self.words.of(text) for text in self.assessment.assumptions]

    @property
    def costs(self) -> CostView | None:
        names = {"api": self.words("assess.api"), "own": self.words("assess.own")}
        notes = [self.words("assess.costs_note")]
        if self.assessment.answers.get("data_may_leave") == "false":
            notes.append(self.words("assess.costs_private"))
        note = ("" if self.words.language == "zh" else " ").join(notes)
        return cost_view(self.assessment.costs, names, self.words, self.numbers, note=note)


def assessment_page(assessment: Assessment, language: Language) -> str:
    """The whole page."""
    told = Teller(assessment, language)
    return render("assess.html", told.words, told.numbers, told=told, assessment=assessment, costs=told.costs)


def assessment_text(assessment: Assessment, language: Language, *, columns: int = 100) -> str:
    """For a terminal: no colours, lines of at most `columns`."""
    told = Teller(assessment, language)
    lines = [told.words("assess.title", task=assessment.task), "", *wrap(told.summary, columns)]
    for title, body in _sections(told):
        lines += ["", title.upper() if language == "en" else f"【{title}】"]
        for mark, text in body:
            first, *rest = wrap(text, columns - len(mark)) or [""]
            lines += [mark + first, *(" " * len(mark) + line for line in rest)]
    return clean("\n".join(lines)) + "\n"


def assessment_markdown(assessment: Assessment, language: Language) -> str:
    """The same as Markdown."""
    told = Teller(assessment, language)
    parts = [f"# {escape(told.words('assess.title', task=assessment.task))}", escape(told.summary)]
    for title, body in _sections(told):
        parts.append(f"## {escape(title)}")
        indent = {"": "**{}**", "  ": "- *{}*"}
        lines = [
            indent[mark].format(escape(text))
            if mark in indent
            else f"{'- ' if mark.strip() == '-' else mark}{escape(text)}"
            for mark, text in body
        ]
        parts.append("\n".join(_spaced(lines)))
    return "\n\n".join(parts) + "\n"


def _spaced(lines: list[str]) -> Iterator[str]:
    """A blank line before every heading-like line, so that lists end there."""
    for number, line in enumerate(lines):
        if number and line.startswith("**"):
            yield ""
        yield line


def _sections(told: Teller) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Titles with lines, each with its mark: '' a heading, '  ' a remark, '- ' an item, 'n. ' a step."""
    words = told.words
    listed = [("- ", text) for text in told.facts]
    yield words("assess.facts"), listed
    rungs: list[tuple[str, str]] = []
    for line in told.rungs:
        rungs.append(("", words("labelled", name=line.name, value=line.advice)))
        rungs += [("- ", words("assess.reason", basis=basis, text=text)) for basis, text in line.reasons]
        rungs += [("- ", words("labelled", name=words("assess.missing_one"), value=text)) for text in line.missing]
        rungs += [("  ", line.expected)] if line.expected else []
    yield words("assess.rungs"), rungs
    if told.conflicts:
        yield words("assess.conflicts"), [("- ", text) for text in told.conflicts]
    said = [("- ", text) for text in told.answers] + ([("- ", told.unknown)] if told.unknown else [])
    yield words("assess.answers"), said
    if told.missing:
        yield words("assess.missing"), [("- ", text) for text in told.missing]
    costs = told.costs
    if costs:
        yield words("assess.costs"), [("- ", text) for text in (costs.summary, *costs.even[:1], costs.note)]
    yield words("assess.plan"), [(f"{n}. ", text) for n, text in enumerate(told.plan, 1)]
    yield words("assess.assumptions"), [("- ", text) for text in told.assumptions]
