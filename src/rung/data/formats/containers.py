"""Rows as a file and back: JSONL, JSON, CSV, TSV, Excel and Parquet; cells that a spreadsheet would run are made harmless.

A CSV cell that begins with = + - @, their full-width forms, a tab or a line end gets an apostrophe in front, and a last column
`_neutralised` names the cells of the row that got one, so that reading takes exactly those off again.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung.core.durable import write_whole
from rung.core.errors import DataError, UsageError
from rung.data.privacy.redact import redact
from rung.data.rejects import Row

NEUTRALISED = "_neutralised"
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
WRITTEN = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
}
CELL_LIMIT = 32_767
"""Characters of a cell, and rows of a sheet: what Excel can hold."""
ROW_LIMIT = 1_048_576
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


def container_of(path: Path) -> str:
    """How a file of this name is written. Raises UsageError E2249 for a name that says nothing."""
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    if suffix not in WRITTEN or (path.suffix == ".gz" and suffix in {".xlsx", ".parquet"}):
        raise UsageError("E2249", path=path.name, known=", ".join(WRITTEN))
    return WRITTEN[suffix]


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a file whole or not at all. Raises UsageError E2249, DataError E2238 for what Excel cannot hold, WriteError."""
    container = container_of(path)
    if container == "parquet":
        from rung.data.formats.parquet import write_parquet

        write_parquet(rows, path)
        return
    if container == "xlsx":
        write_whole(path, _workbook(rows))
        return
    if container == "jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    elif container == "json":
        text = json.dumps(list(rows), ensure_ascii=False, indent=2) + "\n"
    else:
        # Excel reads Chinese in a CSV only behind a byte order mark.
        text = "\ufeff" + _csv(rows, "," if container == "csv" else "\t")
    data = text.encode("utf-8", "surrogatepass")
    write_whole(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def header_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every column, in the order in which rows name them first."""
    return list(dict.fromkeys(name for row in rows for name in row))


def cell_text(value: Any) -> str:
    """A value as the text of a cell."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def is_risky(text: str) -> bool:
    """Whether a spreadsheet may take a cell for a formula."""
    return text.startswith(RISKY)


def _csv(rows: Sequence[Mapping[str, Any]], delimiter: str) -> str:
    header = header_of(rows)
    made: list[list[str]] = []
    marks: list[str] = []
    for row in rows:
        cells = [cell_text(row.get(name)) for name in header]
        risky = [name for name, cell in zip(header, cells, strict=True) if is_risky(cell)]
        made.append(["'" + cell if is_risky(cell) else cell for cell in cells])
        marks.append(json.dumps(risky, ensure_ascii=False) if risky else "")
    names = ["'" + name if is_risky(name) else name for name in header]
    if any(marks) or names != header:
        names.append(NEUTRALISED)
        made = [[*cells, mark] for cells, mark in zip(made, marks, strict=True)]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(names)
    writer.writerows(made)
    return out.getvalue()


def restored(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[Row]:
    """Rows of a table without what our own export put in front of cells; other files are left as they are."""
    if NEUTRALISED not in columns:
        yield from rows
        return
    names = {name: name[1:] if name.startswith("'") and is_risky(name[1:]) else name for name in columns}
    for row in rows:
        values = {names[name]: value for name, value in row.values.items() if name != NEUTRALISED}
        try:
            marked = json.loads(str(row.values.get(NEUTRALISED) or "[]"))
        except ValueError:
            marked = []
        for name in marked if isinstance(marked, list) else []:
            value = values.get(name)
            if isinstance(value, str) and value.startswith("'"):
                values[name] = value[1:]
        yield replace(row, values=values)


def _workbook(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """An Excel file in which every text is a text, whatever it begins with."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell

    if len(rows) >= ROW_LIMIT:
        raise DataError("E2238", found=f"{len(rows)} rows", limit=f"{ROW_LIMIT - 1} rows")
    header = header_of(rows)
    # Looked at in full first: a sheet that is begun has to be ended.
    lines = [[_excel_value(name) for name in header]]
    lines += [[_excel_value(row.get(name)) for name in header] for row in rows]
    book = Workbook(write_only=True)
    sheet = book.create_sheet("data")
    for line in lines:
        cells: list[Any] = []
        for value in line:
            cell = WriteOnlyCell(sheet, value)
            if isinstance(value, str):
                cell.data_type = "s"
                cell.quotePrefix = is_risky(value)
            cells.append(cell)
        sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _excel_value(value: Any) -> Any:
    """A value as a cell holds it. Raises DataError E2238 for a text that Excel would cut."""
    if value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) < 1 << 53):
        return value
    text = _CONTROL.sub(lambda mark: f"_x{ord(mark[0]):04X}_", cell_text(value))
    if len(text) > CELL_LIMIT:
        raise DataError(
            "E2238", found=f"{len(text)} characters: {redact(text[:200])[:40]}...", limit=f"{CELL_LIMIT} characters"
        )
    return text
