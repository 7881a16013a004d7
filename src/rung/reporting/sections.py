"""A section of a report as page, Markdown file and terminal share it: a lead, parts with tables, notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.reporting.aftermath import Part
from rung.reporting.letters import clean, clip, wrap
from rung.reporting.tables import table_lines


@dataclass(frozen=True)
class Slice:
    """One share of a bar."""

    label: str
    n: int
    role: str
    """A colour of the page's style sheet."""


@dataclass(frozen=True)
class Bar:
    """A bar that shows what a number is made of."""

    name: str
    slices: tuple[Slice, ...]

    @property
    def total(self) -> int:
        return sum(part.n for part in self.slices)


@dataclass(frozen=True)
class Section:
    """Everything that is said, in one language; nothing is worked out anew."""

    id: str
    title: str
    lead: str
    parts: tuple[Part, ...]
    bars: tuple[Bar, ...] = ()
    notes: tuple[str, ...] = ()


_LISTED = 10
_CELL = 60


def _listed(row: Sequence[str], columns: int) -> list[str]:
    first, *rest = wrap(" · ".join(clip(cell, _CELL) for cell in row), columns - 4)
    return [f"  - {first}", *(f"    {line}" for line in rest)]


def section_text(section: Section, *, columns: int = 100) -> str:
    """The section for a terminal; no control characters. Tables that a page folds away are lists here."""
    blocks: list[Sequence[str]] = [[section.title, *wrap(section.lead, columns)]]
    for part in section.parts:
        head = f"{'! ' if part.tone == 'warning' else ''}{part.title}"
        blocks.append([head, *(line for text in part.said for line in wrap(text, columns))])
        blocks += [table_lines(part.table)] if part.table else []
        if part.more:
            blocks.append([line for row in part.more.rows[:_LISTED] for line in _listed(row, columns)])
    blocks += [wrap(note, columns) for note in section.notes]
    return clean("\n\n".join("\n".join(block) for block in blocks)) + "\n"
