"""A data file as rows of values by column, whichever of CSV, TSV, JSONL, JSON, Excel and Parquet it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from errno import ENOENT
from itertools import islice
from os import strerror
from pathlib import Path
from typing import Any

from rung.core.errors import DataError
from rung.data.csv_rows import check_header, find_delimiter, read_rows
from rung.data.encoding import Encoding
from rung.data.findings import Finding
from rung.data.json_rows import MAX_LIST, read_list, read_objects
from rung.data.lines import LineFile
from rung.data.rejects import BadRow, Reject, Row

SUFFIXES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
SUFFIXES |= {".xlsx": "workbook", ".xls": "workbook", ".parquet": "parquet"}
_NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_SAMPLE = 100
_LISTED = 20


class DataFile:
    """An opened data file; iterating yields every row that is not blank."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        """Settle format, encoding and header.

        Raises DataError E2100 for an unknown format, E2106 for an empty file; E2101-E2105 from reading, E2107-E2110 from
        its header or form, E2231-E2235 for a workbook or Parquet file that cannot be read.
        """
        self.path = path
        suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
        if suffix not in SUFFIXES:
            if not path.exists():
                raise DataError("E2101", path=path, reason=strerror(ENOENT))
            raise DataError("E2100", path.name, suffix=suffix or path.name, known=", ".join(SUFFIXES))
        self._format = SUFFIXES[suffix]
        self.columns: tuple[str, ...] = ()
        """Header of a table; objects of a JSON file may each have their own fields."""
        self.dialect = self._format
        self.encoding = Encoding("utf-8")
        self.findings: tuple[Finding, ...] = ()
        if self._format in {"workbook", "parquet"}:
            self._open_binary(suffix)
            return
        self._lines = LineFile(path, encoding)
        self.encoding = self._lines.encoding
        sample = list(islice(self._lines, _SAMPLE))
        first = next((line for line in sample if line.text.strip()), None)
        if first is None:
            raise DataError("E2106", path.name)
        if self._format == "json" and first.text.lstrip().startswith("{"):
            self._format = self.dialect = "jsonl"
        if self._format == "csv":
            self._delimiter = find_delimiter(sample, suffix)
            self.dialect = f"{suffix[1:]}, {_NAMES[self._delimiter]}"
            header = next(read_rows(self._lines, self._delimiter), None)
            if header is None:
                raise DataError("E2106", path.name)
            if header.problem is not None:
                raise self._unreadable(header.problem, header.line)
            self._header = check_header(header.cells, f"{path.name}:{header.line}")
            self.columns = tuple(name for name in self._header if name)
            unnamed = [str(n) for n, name in enumerate(self._header, 1) if not name]
            if unnamed:
                listed = ", ".join(unnamed[:_LISTED]) + (", ..." if len(unnamed) > _LISTED else "")
                self.findings = (Finding("warning", "E2280", {"n": len(unnamed), "columns": listed}),)

    @property
    def textual(self) -> bool:
        """Whether cells are texts, so that lists and mappings in them are JSON, and an empty one says nothing."""
        return self._format in {"csv", "workbook"}

    def _open_binary(self, suffix: str) -> None:
        self._rows: Iterable[Row]
        if self._format == "workbook":
            from rung.data.formats.workbook import open_sheet

            sheet = open_sheet(self.path)
            self._rows, self.columns, self.findings = sheet, sheet.columns, sheet.findings
            self.dialect = f"{suffix[1:]}, {sheet.name}"
        else:
            from rung.data.formats.parquet import ParquetFile

            self._rows = opened = ParquetFile(self.path)
            self.columns = opened.columns

    def __iter__(self) -> Iterator[Row]:
        if self._format in {"workbook", "parquet"}:
            return iter(self._rows)
        if self._format == "csv":
            return self._csv_rows()
        return (
            read_objects(self._lines)
            if self._format == "jsonl"
            else read_list(self._lines.whole(MAX_LIST), self.path.name)
        )

    def _csv_rows(self) -> Iterator[Row]:
        width = len(self._header)
        for row in islice(read_rows(self._lines, self._delimiter, width), 1, None):
            problem = row.problem
            if problem is None and len(row.cells) != width:
                problem = BadRow("E2205", expected=width, found=len(row.cells))
            values = (
                {} if problem else {name: cell for name, cell in zip(self._header, row.cells, strict=False) if name}
            )
            yield Row(row.line, values, row.raw.rstrip("\r\n"), problem)

    def _unreadable(self, problem: BadRow, line: int) -> DataError:
        """A problem that takes the whole file with it."""
        found = problem.reject(self.path.name, line, "").problem
        return DataError(found.code, problems=[found])


@dataclass(frozen=True)
class Table:
    """The first rows of a file, for a look at what it holds."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    rejects: tuple[Reject, ...]
    encoding: Encoding
    dialect: str


def read_table(path: Path, *, encoding: str | None = None, limit: int | None = None) -> Table:
    """Rows of a file without knowing what its columns mean; at most `limit`. Raises as DataFile does."""
    file = DataFile(path, encoding)
    rows: list[Mapping[str, Any]] = []
    rejects: list[Reject] = []
    for row in islice(file, limit):
        if row.problem is not None:
            rejects.append(row.problem.reject(path.name, row.line, row.raw))
        else:
            rows.append(row.values)
    columns = file.columns or tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(columns, tuple(rows), tuple(rejects), file.encoding, file.dialect)
