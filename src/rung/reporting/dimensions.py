"""Before and after on dimensions: the table of mean marks by people or by a licensed judge, for page, Markdown and terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.core.task import Language
from rung.reporting.letters import clean
from rung.reporting.numbers import NONE, signed
from rung.reporting.tables import align
from rung.reporting.words import Words
from rung.store.judging import DimensionRow, DimensionTable
from rung.store.records import Interval


@dataclass(frozen=True)
class DimensionLine:
    """One dimension in words."""

    name: str
    definition: str
    before: str
    after: str
    change: str
    note: str
    withheld: bool


@dataclass(frozen=True)
class DimensionSection:
    """The section; a table without any shown dimension still says why."""

    lead: str
    head: list[str]
    """The names of the table's columns."""
    lines: tuple[DimensionLine, ...]


def dimension_sections(tables: Sequence[DimensionTable], words: Words) -> list[DimensionSection]:
    """The tables in words of one language, people's before a judge's; none where nobody has judged."""
    return [_section(table, words) for table in tables]


def _section(table: DimensionTable, words: Words) -> DimensionSection:
    if table.source == "judge":
        lead = words("dimensions.judge", name=table.judge)
    else:
        alpha = _span(table.rater_agreement) if table.rater_agreement else words("dimensions.alone")
        lead = words("dimensions.people", n=len(table.raters), alpha=alpha)
    return DimensionSection(lead, _head(table, words), tuple(_line(row, words) for row in table.rows))


def _line(row: DimensionRow, words: Words) -> DimensionLine:
    if row.withheld is not None:
        return DimensionLine(row.name, row.definition, NONE, NONE, NONE, words.of(row.withheld), withheld=True)
    before, after = row.systems
    note = words("dimensions.pairs", n=f"{row.pairs:,}")
    if failed := before.failed + after.failed:
        note = words.join([note, words("dimensions.failed", n=f"{failed:,}")])
    change = NONE
    if row.change.point is not None:
        change = signed(f"{row.change.point:.2f}")
        if row.change.low is not None and row.change.high is not None:
            ends = [signed(f"{end:.2f}") for end in (row.change.low, row.change.high)]
            change = words("quality", point=change, bounds=words("span.plain", low=ends[0], high=ends[1]))
    return DimensionLine(row.name, row.definition, _span(before.mean), _span(after.mean), change, note, withheld=False)


def _span(interval: Interval) -> str:
    if interval.point is None:
        return NONE
    if interval.low is None or interval.high is None:
        return f"{interval.point:.2f}"
    return f"{interval.point:.2f} ({interval.low:.2f}–{interval.high:.2f})"


def _head(table: DimensionTable, words: Words) -> list[str]:
    before = words("labelled", name=words("dimensions.before"), value=table.before)
    after = words("labelled", name=words("dimensions.after"), value=table.after)
    return [words("dimensions.name"), before, after, words("dimensions.change"), words("dimensions.note")]


def cells(line: DimensionLine) -> list[str]:
    """One row, in the order of the section's head."""
    return [line.name, line.before, line.after, line.change, line.note]


def table_text(table: DimensionTable, language: Language) -> str:
    """For a terminal."""
    section = _section(table, Words(language))
    rows = [section.head, *(cells(line) for line in section.lines)]
    return clean("\n".join([section.lead, "", *align(rows, left=len(rows[0]))])) + "\n"
