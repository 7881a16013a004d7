"""Excel workbooks as rows: .xlsx streamed, .xls, whatever their name; dates as ISO text, merged cells filled down."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from rung.core.errors import DataError
from rung.data.csv_rows import MAX_COLUMNS, check_header
from rung.data.findings import Finding
from rung.data.lines import open_bytes
from rung.data.rejects import Row

MAX_CELLS = 20_000_000
"""Cells that are read of one sheet, empty ones between others included."""
MAX_UNPACKED = 1 << 28
"""Bytes that a workbook may unpack to."""
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OLE = b"\xd0\xcf\x11\xe0"
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]{0,80}?ref="([A-Z]{1,3}[0-9]{1,7}):([A-Z]{1,3}[0-9]{1,7})"')
_UNCOMPUTED = re.compile(rb"</?(?:\w+:)?f>(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v></(?:\w+:)?v>)?</(?:\w+:)?c>")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_BLOCK = 100
"""Rows that are read at a time."""
_TITLES = 20
"""Lines above the header that may hold a title."""

Cells = Sequence[Any]


@dataclass(frozen=True)
class Sheet:
    """The first sheet of a workbook that holds cells."""

    columns: tuple[str, ...]
    header_line: int
    name: str
    cells: Callable[[], Iterator[Cells]]
    merged: Mapping[tuple[int, int], tuple[int, int]]
    """Cells that a merged one above covers, with the place of that one; rows and columns from 1."""
    header: tuple[str, ...]
    findings: tuple[Finding, ...] = field(default=())
    where: str = ""
    """File and sheet, for errors."""

    def __iter__(self) -> Iterator[Row]:
        """Rows under the header that hold something. Raises DataError E2234 for more cells than can be held."""
        above: dict[tuple[int, int], Any] = {}
        sources = set(self.merged.values())
        for number, cells in enumerate(_counted(self.cells(), self.where), 1):
            if number <= self.header_line:
                continue
            values: dict[str, Any] = {}
            for column, name in enumerate(self.header, 1):
                value = cells[column - 1] if column <= len(cells) else None
                if (number, column) in sources:
                    above[number, column] = value
                elif value is None and (number, column) in self.merged:
                    value = above.get(self.merged[number, column])
                if name and value is not None and value != "":
                    values[name] = value
            if values:
                yield Row(number, values, "\t".join("" if cell is None else str(cell) for cell in cells))


def open_sheet(path: Path) -> Sheet:
    """Raises DataError E2101 unreadable, E2231 locked with a password, E2235 damaged or too large, E2106 empty, and as a
    CSV header does."""
    with open_bytes(path) as file:
        data = file.read(MAX_UNPACKED + 1)
    if len(data) > MAX_UNPACKED:
        raise DataError("E2235", path.name, reason=f"it is larger than {MAX_UNPACKED >> 20} MiB")
    if data.startswith(_OLE):
        if _ENCRYPTED in data:
            raise DataError("E2231", path.name)
        sheets = _old_sheets(path, data)
    elif not data:
        raise DataError("E2106", path.name)
    elif not data.startswith(b"PK"):
        raise DataError("E2282", path.name)
    else:
        sheets = _new_sheets(path, data)
    return _first_filled(path, sheets)


@dataclass(frozen=True)
class _Raw:
    name: str
    cells: Callable[[], Iterator[Cells]]
    merged: tuple[tuple[int, int, int, int], ...] = ()
    """First row, first column, last row, last column, from 1."""
    uncomputed: int = 0


def _first_filled(path: Path, sheets: Sequence[_Raw]) -> Sheet:
    filled = [
        sheet
        for sheet in sheets
        if any(_said(cells) for cells in _counted(sheet.cells(), f"{path.name}, {sheet.name}"))
    ]
    if not filled:
        raise DataError("E2106", path.name)
    raw = filled[0]
    where = f"{path.name}, {raw.name}"
    head: list[tuple[int, Cells]] = []
    for number, cells in enumerate(_counted(raw.cells(), where), 1):
        if _said(cells):
            head.append((number, cells))
        if len(head) > _TITLES:
            break
    wide = next((n for n, (_, cells) in enumerate(head) if _said(cells) > 1), 0)
    line, cells = head[wide]
    if len(cells) > MAX_COLUMNS and _said(cells) > MAX_COLUMNS:
        raise DataError("E2109", f"{path.name}:{line}", found=_said(cells), limit=MAX_COLUMNS)
    names = [_text(cell) for cell in cells]
    while names and not names[-1]:
        names.pop()
    header = check_header(names, f"{path.name}:{line}")
    merged = {
        (row, first_column): (first_row, first_column)
        for first_row, first_column, last_row, _ in raw.merged
        if first_row > line
        for row in range(first_row + 1, last_row + 1)
    }
    found = [
        Finding("warning", "E2259", {"used": raw.name, "names": ", ".join(s.name for s in filled[1:])})
        if filled[1:]
        else None,
        Finding("info", "E2260", {"n": len(merged)}) if merged else None,
        Finding("warning", "E2261", {"n": raw.uncomputed}) if raw.uncomputed else None,
        Finding("info", "E2262", {"n": wide, "line": line}) if wide else None,
    ]
    columns = tuple(name for name in header if name)
    return Sheet(columns, line, raw.name, raw.cells, merged, header, tuple(f for f in found if f), where)


def _said(cells: Cells) -> int:
    return sum(cell is not None and str(cell).strip() != "" for cell in cells)


def _counted(rows: Iterator[Cells], where: str) -> Iterator[Cells]:
    seen = 0
    for cells in rows:
        seen += len(cells)
        if seen > MAX_CELLS:
            raise DataError("E2234", where, limit=MAX_CELLS)
        yield cells


def _new_sheets(path: Path, data: bytes) -> list[_Raw]:
    import warnings

    from defusedxml.common import DefusedXmlException
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > MAX_UNPACKED:
                raise DataError("E2235", path.name, reason=f"it unpacks to {size >> 20} MiB")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    except DataError:
        raise
    except (DefusedXmlException, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError, IndexError) as error:
        raise DataError("E2235", path.name, reason=str(error)[:200] or type(error).__name__) from error
    sheets = []
    for sheet in book.worksheets:
        if sheet.sheet_state != "visible":
            continue
        # The size that a sheet claims is not trusted: rows are counted as they come.
        sheet.reset_dimensions()
        merged, uncomputed = _look(book._archive, sheet._worksheet_path, f"{path.name}, {sheet.title}")
        sheets.append(_Raw(sheet.title, lambda sheet=sheet: _new_cells(sheet, path), merged, uncomputed))  # type: ignore[misc]
    return sheets


def _new_cells(sheet: Any, path: Path) -> Iterator[Cells]:
    import warnings

    rows = sheet.iter_rows(values_only=True)
    while True:
        try:
            # Many at a time: a sheet with one cell at its end has a million rows without any.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                block = list(islice(rows, _BLOCK))
        except (ValueError, KeyError, SyntaxError, zipfile.BadZipFile, OSError, EOFError, IndexError) as error:
            raise DataError("E2235", path.name, reason=str(error)[:200]) from error
        if not block:
            return
        for cells in block:
            yield [_value(cell) for cell in cells] if cells else ()


def _look(archive: zipfile.ZipFile, name: str, where: str) -> tuple[tuple[tuple[int, int, int, int], ...], int]:
    """Merged ranges of a sheet, and formulas of which no value is kept."""
    from openpyxl.utils.cell import coordinate_to_tuple

    merged, uncomputed, rest = [], 0, b""
    covered = 0
    with archive.open(name) as file:
        while block := file.read(1 << 20):
            block = rest + block
            # A tag cut by the end of a block is looked at with the next one.
            cut = max(block.rfind(b"<c"), block.rfind(b"<mergeCell "), 0) if len(block) > 1 << 10 else len(block)
            whole, rest = block[:cut], block[cut:]
            for first, last in _MERGED.findall(whole):
                merged.append((*coordinate_to_tuple(first.decode()), *coordinate_to_tuple(last.decode())))
            uncomputed += len(_UNCOMPUTED.findall(whole))
    for first, last in _MERGED.findall(rest):
        merged.append((*coordinate_to_tuple(first.decode()), *coordinate_to_tuple(last.decode())))
    uncomputed += len(_UNCOMPUTED.findall(rest))
    for first_row, _, last_row, _ in merged:
        covered += last_row - first_row
        if covered > MAX_CELLS // 10:
            raise DataError("E2234", where, limit=MAX_CELLS)
    return tuple(merged), uncomputed


def _old_sheets(path: Path, data: bytes) -> list[_Raw]:
    import xlrd

    try:
        book = xlrd.open_workbook(file_contents=data, formatting_info=True, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        if "encrypted" in str(error).lower():
            raise DataError("E2231", path.name) from error
        raise DataError("E2235", path.name, reason=str(error)[:200]) from error
    except Exception as error:
        # The reader of this old format fails in many ways on a damaged file.
        raise DataError("E2235", path.name, reason=f"{type(error).__name__}: {str(error)[:150]}") from error
    return [
        _Raw(
            sheet.name,
            lambda sheet=sheet: _old_cells(sheet, book.datemode),  # type: ignore[misc]
            tuple((top + 1, left + 1, bottom, right) for top, bottom, left, right in sheet.merged_cells),
        )
        for sheet in book.sheets()
        if sheet.visibility == 0
    ]


def _old_cells(sheet: Any, datemode: int) -> Iterator[Cells]:
    import xlrd

    for number in range(sheet.nrows):
        row: list[Any] = []
        for cell in sheet.row(number):
            value = cell.value
            if cell.ctype == xlrd.XL_CELL_DATE:
                value = xlrd.xldate_as_datetime(value, datemode) if value >= 1 else timedelta(days=value)
            elif cell.ctype == xlrd.XL_CELL_BOOLEAN:
                value = bool(value)
            elif cell.ctype == xlrd.XL_CELL_ERROR:
                value = xlrd.error_text_from_code.get(value, "#ERROR")
            elif cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
                value = None
            elif cell.ctype == xlrd.XL_CELL_NUMBER and value.is_integer():
                value = int(value)
            row.append(_value(value))
        yield row


def _value(cell: Any) -> Any:
    """A cell as JSON would have it; dates and times as ISO text."""
    if isinstance(cell, str):
        # The file format writes control characters in this way (ECMA-376, ST_Xstring).
        return _ESCAPED.sub(lambda mark: chr(int(mark[1], 16)), cell) if "_x" in cell else cell
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat()
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        return str(cell)
    if isinstance(cell, float) and (cell != cell or cell in (float("inf"), float("-inf"))):
        return str(cell)
    return cell


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)
