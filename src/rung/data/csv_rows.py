"""CSV rows with the physical line each starts on; a stray quote costs its own row and no other."""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rung.core.errors import DataError
from rung.data.lines import MAX_LINE, Line
from rung.data.rejects import BadRow

DELIMITERS = (",", "\t", ";", "|")
MAX_COLUMNS = 2000
MAX_ROW_LINES = 10_000


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One record. `cells` is empty where there is a problem."""

    line: int
    cells: tuple[str, ...]
    raw: str
    problem: BadRow | None = None


def read_rows(lines: Iterable[Line], delimiter: str, width: int | None = None) -> Iterator[CsvRow]:
    """Every record (RFC 4180), blank lines left out. `width`: how many cells a record should have.

    A quote that is never closed, or that closes in the middle of a field, spoils one physical line: reading goes on with the
    next, so that the rows behind it are not swallowed.
    """
    waiting: deque[Line] = deque()
    source = iter(lines)

    def following() -> Line | None:
        return waiting.popleft() if waiting else next(source, None)

    while (line := following()) is not None:
        if line.problem is not None:
            yield CsvRow(line.number, (), line.text, line.problem)
            continue
        taken = [line]
        cells = _parse(taken, delimiter)
        size = len(line.text)
        while cells is None and len(taken) < MAX_ROW_LINES and size < MAX_LINE:
            more = following()
            if more is None:
                break
            if more.problem is not None:
                waiting.appendleft(more)
                break
            taken.append(more)
            size += len(more.text)
            # Only a quote can close the field, so other lines need no new look.
            if '"' in more.text:
                cells = _parse(taken, delimiter)
        if cells and width and _swallowed(taken, cells, delimiter, width):
            cells = None
        if cells is None or isinstance(cells, BadRow):
            waiting.extendleft(reversed(taken[1:]))
            yield CsvRow(line.number, (), line.text, cells or BadRow("E2204", detail="a quote is never closed"))
        elif any(cell.strip() for cell in cells):
            yield CsvRow(line.number, tuple(cells), "".join(part.text for part in taken))


def _swallowed(taken: Sequence[Line], cells: list[str] | BadRow, delimiter: str, width: int) -> bool:
    """Whether a record of the wrong width is a line with an open quote, and good rows that it took along."""
    if isinstance(cells, BadRow) or len(cells) == width or len(taken) == 1:
        return False
    alone = [_parse([line], delimiter) for line in taken[1:]]
    return all(isinstance(row, list) and len(row) == width for row in alone)


def _parse(taken: Sequence[Line], delimiter: str) -> list[str] | BadRow | None:
    """The cells of one record; None while a quote is open."""
    limit = csv.field_size_limit(MAX_LINE)
    try:
        return next(csv.reader([line.text for line in taken], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        # The csv module has one exception for everything; this text means "the input ended inside quotes".
        return None if "unexpected end of data" in str(error) else BadRow("E2204", detail=str(error))
    finally:
        csv.field_size_limit(limit)


def find_delimiter(sample: Sequence[Line], suffix: str) -> str:
    """The delimiter that cuts most rows into as many cells as the first one has.

    A tie goes to more columns, then to the usual one for the file's name; a file of one column reads with a comma.
    """
    usual = "\t" if suffix == ".tsv" else ","
    best, best_score = usual, (0.0, 0, False)
    for delimiter in DELIMITERS:
        widths = [len(row.cells) for row in read_rows(sample, delimiter) if row.problem is None]
        if not widths or widths[0] < 2:
            continue
        score = (round(sum(width == widths[0] for width in widths) / len(widths), 2), widths[0], delimiter == usual)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def check_header(cells: Sequence[str], where: str) -> tuple[str, ...]:
    """Column names, trimmed; a column without a name stays '' and cannot be used.

    Raises DataError E2107 for names that appear twice, E2108 where no column has a name, E2109 for too many columns.
    """
    names = tuple(cell.strip() for cell in cells)
    if len(names) > MAX_COLUMNS:
        raise DataError("E2109", where, found=len(names), limit=MAX_COLUMNS)
    twice = [name for name, n in Counter(names).items() if name and n > 1]
    if twice:
        raise DataError("E2107", where, names=", ".join(twice))
    if not any(names):
        raise DataError("E2108", where)
    return names
