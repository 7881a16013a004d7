"""Rows of cells as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its header; '' where no cell holds text.

    Empty rows and columns are left out, a line end within a cell becomes a space, and a bar is escaped. A table of one
    column is written as lines.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    width = max((len(row) for row in cells), default=0)
    for row in cells:
        row.extend([""] * (width - len(row)))
    used = [n for n in range(width) if any(row[n] for row in cells)]
    if len(used) < 2:
        return "\n".join(row[n].replace("\\|", "|") for row in cells for n in used)
    lines = ["| " + " | ".join(row[n] for n in used) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * len(used), *lines[1:]])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def record_lines(names: Sequence[str], values: Sequence[str]) -> str:
    """One row as `name: value` lines, for rows too long for a table."""
    pairs = zip([*names, *[""] * (len(values) - len(names))], values, strict=False)
    return "\n".join(f"{name}: {value}" if name else value for name, value in pairs if value.strip())
