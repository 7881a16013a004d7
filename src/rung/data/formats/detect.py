"""Which format a file is in: from what its first rows hold, never from its name alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, UsageError
from rung.data.findings import Finding
from rung.data.formats import beir, llamafactory
from rung.data.formats.codec import Codec, codec_named, codecs, known_formats
from rung.data.formats.containers import NEUTRALISED, restored
from rung.data.formats.row import META
from rung.data.formats.table_rows import Table, full_mapping, guess_mapping
from rung.data.privacy.redact import redact
from rung.data.rejects import Row, check_share
from rung.data.table import DataFile

_SAMPLE = 100
_MOST = 0.8
"""Share of the first rows that a format must fit to be worth a question."""
_ANY = {"jsonl", "json", "parquet"}
_TABLES = {"csv", "tsv", "xlsx", "xls"}
_FLAT = {"alpaca", "swift-query", "trl", "trl-preference", "sentence-transformers", "sentence-pairs"}
"""Formats that a table of cells may be in."""


@dataclass(frozen=True)
class Detected:
    """What a file seems to be, to be shown before anything is done with it."""

    format: str
    mapping: Mapping[str, str]
    """Column by field; empty where the format itself says what its fields mean."""
    sure: bool
    why: Finding
    rows: tuple[Mapping[str, Any], ...]
    """The first three, as they stand."""
    columns: tuple[str, ...] = ()
    dialect: str = ""
    """What kind of file it is: 'csv, semicolon', 'xlsx, Sheet1', ..."""
    encoding: str = ""


@dataclass(frozen=True)
class Opened:
    """A file with the codec that reads it."""

    path: Path
    codec: Codec
    detected: Detected
    file: DataFile
    meta: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """Every row; in a table, cells that say nothing are left out."""
        for row in restored(self.file, self.file.columns):
            yield _said(row) if self.file.textual else row


def detect(path: Path, *, mapping: Mapping[str, str] | None = None, encoding: str | None = None) -> Detected:
    """Look at a file or a folder.

    Raises DataError E2240 for a folder that is in no known format, E2232 where no column can be the question; as reading does.
    """
    if path.is_dir() and beir.is_beir(path):
        return beir_seen(beir.read_beir(path))
    return open_file(path, None, mapping or {}, encoding).detected


def beir_seen(found: beir.Beir) -> Detected:
    """The same for a BEIR folder that has been read."""
    return Detected(
        beir.NAME, {}, True, Finding("info", "E2250", {"fields": "corpus.jsonl, queries.jsonl"}), found.rows
    )


def open_file(
    path: Path, format: str | None, mapping: Mapping[str, str], encoding: str | None, *, empty: bool = False
) -> Opened:
    """Settle format and mapping. `format` None, 'jsonl', 'json' or 'parquet' leaves the format to be found.

    `empty`: rows of a table that ask nothing are records too. Raises TooManyRejects E2122 where no row can be read.
    """
    opened = _open(path, format, mapping, encoding, empty)
    textless = opened.file.dialect.startswith(("xls", "parquet"))
    seen = replace(opened.detected, dialect=opened.file.dialect, encoding="" if textless else opened.file.encoding.name)
    return replace(opened, detected=seen)


def _open(path: Path, format: str | None, mapping: Mapping[str, str], encoding: str | None, empty: bool) -> Opened:
    name = None if format in _ANY else "table" if format in _TABLES else format
    if name is not None and name not in known_formats():
        raise UsageError("E2237", name=name, known=", ".join(known_formats()))
    mapping = dict(mapping)
    entry = None
    if path.is_dir() or path.name == llamafactory.INFO:
        if path.is_dir() and not (path / llamafactory.INFO).is_file():
            raise DataError("E2240", str(path), known="beir, llamafactory")
        entry = llamafactory.find_entry(path, mapping.pop("dataset", ""))
    elif name in {None, llamafactory.NAME}:
        entry = llamafactory.entry_of(path)
        if entry is None and name is not None:
            raise UsageError("E2244", str(path), known="-", name=path.name)
    path = entry.path if entry else path
    file = DataFile(path, encoding)
    sample = [row.values for row in islice(_good(file), _SAMPLE)]
    if not sample:
        rejects = [row.problem.reject(path.name, row.line, row.raw) for row in file if row.problem is not None]
        check_share(path.name, 0, rejects, 0)
    columns = file.columns or tuple(dict.fromkeys(name for row in sample for name in row))
    columns = tuple(column for column in columns if column != NEUTRALISED)
    _check_mapping(path, mapping, columns)
    if entry is not None:
        codec: Codec = llamafactory.LlamaFactory(entry.said)
        why = Finding("info", "E2250", {"fields": f"{llamafactory.INFO}: {entry.name}"})
        return _opened(
            path, codec, file, mapping, Detected(llamafactory.NAME, mapping, True, why, tuple(sample[:3]), columns)
        )
    if name is None or name == "table":
        found, share = (None, 0.0) if name == "table" else _best(sample, file.textual, mapping)
        if found is None:
            return _table(path, file, mapping, sample, columns, given=name is not None, empty=empty)
        sure = share == 1 and not file.encoding.guessed
        told = [column for column in columns if all(column in row for row in sample)][:6]
        why = Finding("info", "E2250", {"fields": ", ".join(told or columns[:6])})
        return _opened(path, found, file, mapping, Detected(found.name, mapping, sure, why, tuple(sample[:3]), columns))
    why = Finding("info", "E2250", {"fields": "--format"})
    detected = Detected(name, mapping, True, why, tuple(sample[:3]), columns)
    return _opened(path, codec_named(name), file, mapping, detected)


def _opened(path: Path, codec: Codec, file: DataFile, mapping: Mapping[str, str], detected: Detected) -> Opened:
    unknown = [name for name in mapping if name not in META]
    if unknown:
        raise UsageError("E2233", path.name, column=unknown[0], known=", ".join(META))
    return Opened(path, codec, detected, file, mapping)


def _table(
    path: Path,
    file: DataFile,
    mapping: Mapping[str, str],
    sample: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    given: bool,
    empty: bool,
) -> Opened:
    guess = guess_mapping(columns, sample)
    full = full_mapping(mapping, guess.mapping)
    if not any(name.startswith("inputs.") or name == "messages" for name in full):
        raise DataError("E2232", path.name, columns=redact(", ".join(columns)))
    why = Finding("info", "E2251", {"columns": ", ".join(full.values())})
    sure = (guess.sure or bool(mapping) or given) and not file.encoding.guessed
    detected = Detected("table", full, sure, why, tuple(sample[:3]), tuple(columns))
    about = {name: column for name, column in full.items() if name in META}
    return Opened(path, Table(full, textual=file.textual, empty=empty), detected, file, about)


def _check_mapping(path: Path, mapping: Mapping[str, str], columns: Sequence[str]) -> None:
    missing = [column for column in mapping.values() if column not in columns]
    if missing:
        raise UsageError("E2233", path.name, column=missing[0], known=redact(", ".join(columns)))


def _best(sample: Sequence[Mapping[str, Any]], textual: bool, mapping: Mapping[str, str]) -> tuple[Codec | None, float]:
    """The first format that fits most rows, those that fit all before others; none where columns were mapped by hand."""
    if not sample or any(name not in META for name in mapping):
        return None, 0.0
    shares = [
        (codec, sum(codec.fits(row) for row in sample) / len(sample))
        for codec in codecs().values()
        if not textual or codec.name in _FLAT
    ]
    best = max(shares, key=lambda pair: pair[1])
    return best if best[1] >= _MOST else (None, 0.0)


def _good(file: DataFile) -> Iterator[Row]:
    rows = (row for row in restored(file, file.columns) if row.problem is None)
    return (_said(row) for row in rows) if file.textual else rows


def _said(row: Row) -> Row:
    values = {name: value for name, value in row.values.items() if value is not None and value != ""}
    return Row(row.line, values, row.raw, row.problem)
