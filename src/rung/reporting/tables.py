"""A table of words as a report, a Markdown file and a terminal share it."""

from __future__ import annotations

from dataclasses import dataclass

from rung.reporting.letters import pad, width

_GAP = "  "


@dataclass(frozen=True)
class Table:
    """A head and its rows, all of one length; the first cell of a row names it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def lines_of(table: Table) -> list[str]:
    """The table as aligned lines: names flush left, the rest flush right; wide characters count as two columns."""
    everything = [table.head, *table.rows]
    wide = [max(width(row[j]) for row in everything) for j in range(len(table.head))]
    return [_GAP.join(pad(cell, wide[j], right=j > 0) for j, cell in enumerate(row)).rstrip() for row in everything]
