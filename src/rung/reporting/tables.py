"""A table of words as a report, a Markdown file and a terminal share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.reporting.letters import pad, width

GAP = "  "


@dataclass(frozen=True)
class Table:
    """A head and its rows, all of one length; the first cell of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table_lines(table: Table) -> list[str]:
    """The table for a terminal: names flush left, the rest flush right."""
    return align([table.head, *table.rows], left=1)


def align(rows: Sequence[Sequence[str]], *, left: int) -> list[str]:
    """Rows as lines of equal columns, wide characters counted as two: the first `left` flush left, the others flush right."""
    wide = [max(width(row[j]) for row in rows) for j in range(len(rows[0]))]
    return [GAP.join(pad(cell, wide[j], right=j >= left) for j, cell in enumerate(row)).rstrip() for row in rows]
