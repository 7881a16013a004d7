"""Tables on a page: cells between ruled lines, else columns that stand apart by white space alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.data.parsing.grid import markdown_table
from rung.data.parsing.pdf_layout import Line, lines_of
from rung.data.parsing.pdf_page import Rule, Run
from rung.text.script import is_cjk

_NEAR = 3.0
_CELL_GAP = 1.0
_SIGNS = frozenset("$€£¥￥%()— -")
_ONE = r"(?:[$€£¥]\s*)?\(?-?\d[\d,]*(?:\.\d+)?\s?%?\)?%?|[—–-]"
_NUMBER = re.compile(_ONE)
_NUMBERS = re.compile(rf"(?:{_ONE})(?:\s+(?:{_ONE}))+")
_MAX_RULES = 4000


@dataclass(frozen=True)
class Grid:
    """A ruled table: the edges of its columns and rows."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]

    def holds(self, run: Run) -> bool:
        return (
            self.xs[0] - _NEAR <= (run.x0 + run.x1) / 2 <= self.xs[-1] + _NEAR
            and self.ys[0] <= run.middle <= self.ys[-1]
        )

    def written(self, runs: Sequence[Run]) -> str:
        """The runs as a Markdown table."""
        rows: list[list[Run]] = [[] for _ in self.ys[1:]]
        for run in runs:
            rows[min(max(int(np.searchsorted(self.ys, run.middle)) - 1, 0), len(rows) - 1)].append(run)
        return markdown_table(_signs_joined([texts for row in rows if row for texts in self._row(row)]))

    def _row(self, runs: list[Run]) -> list[list[str]]:
        """The cells of one ruled row; several rows where its lines are rows that no rule divides."""
        lines = lines_of(runs)
        columns = [{self._column(run) for run in line.runs} for line in lines]
        first = min(column for held in columns for column in held)
        full = sum(len(held) > 1 and first in held for held in columns)
        if len(lines) >= 3 and full >= 0.6 * len(lines):
            return [self._texts(line.runs) for line in lines]
        return [self._texts(runs)]

    def _texts(self, runs: Sequence[Run]) -> list[str]:
        held: dict[int, list[Run]] = {}
        for run in runs:
            held.setdefault(self._column(run), []).append(run)
        columns = range(len(self.xs) - 1)
        return [joined_lines([line.text for line in lines_of(held[n])]) if n in held else "" for n in columns]

    def _column(self, run: Run) -> int:
        return min(max(int(np.searchsorted(self.xs, (run.x0 + run.x1) / 2)) - 1, 0), len(self.xs) - 2)


def ruled_grids(rules: Sequence[Rule], runs: Sequence[Run]) -> list[Grid]:
    """Tables that are drawn with lines: at least two columns and two rows, with text in them."""
    if len(rules) > _MAX_RULES:
        return []
    across = _merged([rule for rule in rules if rule.across])
    down = _merged([rule for rule in rules if not rule.across])
    if len(across) < 2 or len(down) < 3:
        return []
    parent = list(range(len(across) + len(down)))

    def top_of(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for i, one in enumerate(across):
        for j, two in enumerate(down):
            if one.start - _NEAR <= two.at <= one.end + _NEAR and two.start - _NEAR <= one.at <= two.end + _NEAR:
                parent[top_of(i)] = top_of(len(across) + j)
    groups: dict[int, tuple[list[float], list[float]]] = {}
    for i, rule in enumerate([*across, *down]):
        ys, xs = groups.setdefault(top_of(i), ([], []))
        (ys if rule.across else xs).append(rule.at)
    grids = []
    for ys, xs in groups.values():
        grid = Grid(tuple(_clustered(xs)), tuple(_clustered(ys)))
        if len(grid.xs) >= 3 and len(grid.ys) >= 3:
            inside = [run for run in runs if grid.holds(run)]
            if len(inside) >= 4:
                grids.append(grid)
    # A grid within another would take its text twice.
    grids.sort(key=lambda grid: (grid.xs[-1] - grid.xs[0]) * (grid.ys[-1] - grid.ys[0]), reverse=True)
    kept: list[Grid] = []
    for grid in grids:
        if not any(
            grid.ys[0] < other.ys[-1]
            and other.ys[0] < grid.ys[-1]
            and grid.xs[0] < other.xs[-1]
            and other.xs[0] < grid.xs[-1]
            for other in kept
        ):
            kept.append(grid)
    return kept


def _merged(rules: list[Rule]) -> list[Rule]:
    """Pieces of one drawn line put together."""
    rules = sorted(rules, key=lambda rule: (round(rule.at / 1.5), rule.start))
    found: list[Rule] = []
    for rule in rules:
        last = found[-1] if found else None
        if last and abs(last.at - rule.at) < 1.6 and rule.start <= last.end + _NEAR:
            found[-1] = Rule(rule.across, last.at, last.start, max(last.end, rule.end))
        else:
            found.append(rule)
    return [rule for rule in found if rule.end - rule.start >= 5]


def _clustered(values: list[float]) -> list[float]:
    found: list[float] = []
    for value in sorted(values):
        if not found or value - found[-1] > _NEAR:
            found.append(value)
    return found


def cells_of(line: Line) -> list[Run]:
    """The runs of a line, those joined that only a word's space divides."""
    cells: list[Run] = []
    for run in line.runs:
        last = cells[-1] if cells else None
        if last is not None and run.x0 - last.x1 < _CELL_GAP * max(run.size, last.size):
            gap = "" if run.x0 - last.x1 < 0.1 * run.size else " "
            cells[-1] = Run(
                last.text + gap + run.text, last.x0, max(last.x1, run.x1), last.top, last.bottom, last.bold, last.points
            )
        else:
            cells.append(Run(run.text, run.x0, run.x1, run.top, run.bottom, run.bold, run.points))
    return [part for cell in cells for part in _numbers(cell)]


def _numbers(cell: Run) -> list[Run]:
    """A run of several numbers as one run for each, placed by their share of its characters."""
    if not _NUMBERS.fullmatch(cell.text):
        return [cell]
    wide = (cell.x1 - cell.x0) / len(cell.text)
    return [
        replace(cell, text=match.group(), x0=cell.x0 + wide * match.start(), x1=cell.x0 + wide * match.end())
        for match in _NUMBER.finditer(cell.text)
    ]


def open_table(lines: Sequence[Line]) -> str:
    """Lines whose cells stand in columns as a Markdown table; '' where the columns are not clear."""
    rows = [cells_of(line) for line in lines]
    many = [row for row in rows if len(row) > 1]
    x0 = min(cell.x0 for row in rows for cell in row)
    x1 = max(cell.x1 for row in rows for cell in row)
    spots = np.arange(x0, x1 + 1.0, 1.0)
    covered = np.zeros(len(spots))
    for row in many:
        for cell in row:
            covered[int(cell.x0 - x0) : int(cell.x1 - x0) + 1] += 1
    free = covered <= max(0.0, 0.06 * len(many))
    edges = [x0 - 1.0]
    start = -1
    for at in range(len(spots)):
        if free[at] and start < 0:
            start = at
        elif not free[at] and start >= 0:
            if start > 0 and at - start >= 3:
                edges.append(x0 + (start + at) / 2)
            start = -1
    edges.append(x1 + 1.0)
    if len(edges) < 3:
        return ""
    table: list[list[str]] = []
    clashes = 0
    for row in rows:
        texts = [""] * (len(edges) - 1)
        for cell in row:
            column = _column(edges, cell)
            clashes += bool(texts[column])
            texts[column] = f"{texts[column]} {cell.text}".strip()
        table.append(texts)
    if clashes > 0.15 * sum(map(len, rows)):
        return ""
    return markdown_table(_signs_joined(table))


def _column(edges: Sequence[float], cell: Run) -> int:
    """The column that holds most of a cell."""
    shares = [min(cell.x1, right) - max(cell.x0, left) for left, right in itertools.pairwise(edges)]
    return int(np.argmax(shares))


def _signs_joined(rows: list[list[str]]) -> list[list[str]]:
    """Columns of nothing but currency and percent signs joined to the numbers they belong to."""
    width = max((len(row) for row in rows), default=0)
    at = 0
    while at < width:
        texts = [row[at] for row in rows if row[at].strip()]
        lone = bool(texts) and all(set(text) <= _SIGNS for text in texts)
        opening = lone and any(text.strip() in ("$", "€", "£", "¥", "￥", "(", "$ (") for text in texts)
        if lone and opening and at + 1 < width:
            for row in rows:
                row[at : at + 2] = [f"{row[at]}{row[at + 1]}" if row[at + 1].strip() else row[at]]
            width -= 1
        elif lone and not opening and at > 0 and any(text.strip() in ("%", ")", ")%") for text in texts):
            for row in rows:
                row[at - 1 : at + 1] = [f"{row[at - 1]}{row[at]}"]
            width -= 1
        else:
            at += 1
    return rows


def joined_lines(texts: Sequence[str]) -> str:
    """Lines of one cell as one text; Chinese lines join without a space."""
    whole = ""
    for text in texts:
        close = not whole or not text or (is_cjk(whole[-1]) and is_cjk(text[0]))
        whole += text if close else f" {text}"
    return whole
