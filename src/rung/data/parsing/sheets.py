"""Workbooks (XLSX and old XLS): every sheet as a table of the values that it shows."""

from __future__ import annotations

import datetime
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.package import Package, core_facts, ignored_remark
from rung.data.parsing.records import table_blocks
from rung.data.parsing.refusal import Unreadable

MAX_CELLS = 1_000_000
"""Cells with a value that are read of a workbook."""
# A formula that was never calculated: written by a program, not saved by an office.
_NO_VALUE = re.compile(rb"</f>\s*(?:<v\s*/>|<v></v>)?\s*</c>")
_FAR = 2000
"""Empty rows after which a sheet is taken to end: a stray cell at the far edge is not part of its table."""
_MAX_SPREAD = 5000


@dataclass
class _Sheet:
    name: str
    rows: list[list[str]] = field(default_factory=list)
    hidden: bool = False


@dataclass
class _Budget:
    left: int = MAX_CELLS
    cut: bool = False


def parse_xlsx(raw: bytes) -> Parsed:
    """Values, not formulas; dates in ISO form; a merged cell says its value in every row it covers.

    Raises Unreadable as Package, E2321 for a damaged workbook, E2326 for XML that declares entities, E2329 without values.
    """
    import openpyxl

    package = Package(raw)
    for name in package.names:
        if name.endswith((".xml", ".rels")) and b"<!ENTITY" in package.read(name):
            raise Unreadable("E2326")
    unsaved = sum(
        len(_NO_VALUE.findall(package.read(name))) for name in package.names if name.startswith("xl/worksheets/")
    )
    budget = _Budget()
    try:
        with warnings.catch_warnings():
            # openpyxl warns of styles and extensions that it does not know.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
            sheets = [_xlsx_sheet(sheet, package, budget) for sheet in book.worksheets]
            book.close()
    except Unreadable:
        raise
    except Exception as error:
        # A damaged part makes the reader raise whatever it stumbles over.
        raise Unreadable("E2321", detail=f"XLSX: {type(error).__name__}") from error
    title, facts = core_facts(package)
    remarks = [remark for remark in [ignored_remark(package)] if remark]
    if unsaved:
        remarks.append(Remark("E2347", {"count": unsaved}))
    if pictures := sum(name.startswith("xl/media/") for name in package.names):
        remarks.append(Remark("E2338", {"count": pictures}))
    return _parsed(title, sheets, budget, remarks, {"format": "xlsx", **facts})


def parse_xls(raw: bytes) -> Parsed:
    """As `parse_xlsx`, for workbooks of before 2007."""
    import xlrd

    budget = _Budget()
    try:
        book = xlrd.open_workbook(file_contents=raw, logfile=io.StringIO(), on_demand=True)
        sheets = []
        for number in range(book.nsheets):
            sheet = book.sheet_by_index(number)
            rows = ([_xls_value(cell, book.datemode) for cell in sheet.row(n)] for n in range(sheet.nrows))
            sheets.append(_Sheet(sheet.name, list(_taken(rows, budget)), bool(sheet.visibility)))
            book.unload_sheet(number)
    except Exception as error:
        if "encrypted" in str(error).lower():
            raise Unreadable("E2320") from error
        raise Unreadable("E2321", detail=f"XLS: {type(error).__name__}") from error
    return _parsed("", sheets, budget, [], {"format": "xls"})


def _parsed(title: str, sheets: list[_Sheet], budget: _Budget, remarks: list[Remark], meta: dict[str, str]) -> Parsed:
    blocks: list[Block] = []
    for sheet in sheets:
        rows = _trimmed(sheet.rows)
        if rows:
            blocks.append(Block("heading", sheet.name, 1, sheet.name))
            blocks += table_blocks(rows, sheet.name)
    if not blocks:
        raise Unreadable("E2329")
    if budget.cut:
        remarks.append(Remark("E2340", {"limit": MAX_CELLS}))
    return Parsed(title, tuple(blocks), tuple(remarks), {**meta, "sheets": str(len(sheets))})


def _xlsx_sheet(sheet: Any, package: Package, budget: _Budget) -> _Sheet:
    # What a file claims as its size is not believed: rows are read until they end.
    sheet.reset_dimensions()
    rows = ([_xlsx_value(cell) for cell in row] for row in sheet.iter_rows(values_only=True))
    taken = list(_taken(rows, budget))
    _spread(taken, _merges(sheet, package))
    return _Sheet(sheet.title, taken, sheet.sheet_state != "visible")


def _taken(rows: Iterator[list[str]], budget: _Budget) -> Iterator[list[str]]:
    """Rows while cells are left to read; empty rows at the far end are not held."""
    empty = 0
    for row in rows:
        while row and not row[-1]:
            row.pop()
        if not row:
            empty += 1
            continue
        if empty > _FAR:
            budget.cut = True
            return
        yield from ([] for _ in range(empty))
        empty = 0
        budget.left -= sum(map(bool, row))
        if budget.left < 0:
            budget.cut = True
            return
        yield row


def _merges(sheet: Any, package: Package) -> list[tuple[int, int, int, int]]:
    """Merged ranges of a sheet as first row, first column, last row, last column, from 0."""
    from openpyxl.utils.cell import range_boundaries

    path = str(getattr(sheet, "_worksheet_path", "")).lstrip("/")
    if path not in package.names:
        return []
    data = package.read(path)
    at = data.find(b"<mergeCells")
    if at < 0:
        return []
    found = []
    for piece in data[at : at + (1 << 20)].split(b'ref="')[1:]:
        try:
            left, top, right, bottom = range_boundaries(piece.split(b'"', 1)[0].decode("ascii"))
        except (ValueError, TypeError, UnicodeDecodeError):
            break
        if None not in (left, top, right, bottom):
            found.append((int(top) - 1, int(left) - 1, int(bottom) - 1, int(right) - 1))
    return found


def _spread(rows: list[list[str]], merges: list[tuple[int, int, int, int]]) -> None:
    """Write a merged value into every row that it covers; across, its first cell says it once."""
    for top, left, bottom, _ in merges:
        if bottom == top or bottom - top > _MAX_SPREAD or top >= len(rows) or left >= len(rows[top]):
            continue
        value = rows[top][left]
        for row in rows[top + 1 : bottom + 1]:
            if row:
                row.extend([""] * (left + 1 - len(row)))
                row[left] = row[left] or value


def _trimmed(rows: Sequence[list[str]]) -> list[list[str]]:
    return [row for row in rows if any(cell.strip() for cell in row)]


def _xlsx_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time(0)
        return value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return number_text(value) if isinstance(value, int | float) else str(value)


def number_text(value: float) -> str:
    """A number without the digits that only its binary form has."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"


def _xls_value(cell: Any, datemode: int) -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        try:
            if 0 <= cell.value < 1:
                return (datetime.datetime.min + datetime.timedelta(days=cell.value)).time().isoformat("seconds")
            return _xlsx_value(xlrd.xldate.xldate_as_datetime(cell.value, datemode))
        except (ValueError, OverflowError):
            return number_text(cell.value)
    if cell.ctype == xlrd.XL_CELL_NUMBER:
        return number_text(cell.value)
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "TRUE" if cell.value else "FALSE"
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    return str(cell.value)
