"""Parquet files as rows and back, through pyarrow; what columns cannot hold natively is kept as JSON text, and marked so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from rung.core.durable import aside, sync, writing
from rung.core.errors import DataError
from rung.data.lines import open_bytes
from rung.data.rejects import BadRow, Row

_MARK = b"rung.json"
"""Metadata of a column whose texts are JSON."""
_BATCH = 8192
MAX_ROW = 1 << 28


class ParquetFile:
    """An opened file. Nulls are left out: a column cannot tell null from missing."""

    def __init__(self, path: Path) -> None:
        """Raises DataError E2101 unreadable, E2235 damaged, E2106 empty."""
        import pyarrow as pa
        from pyarrow import parquet

        open_bytes(path).close()
        try:
            self._file = parquet.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise DataError("E2235", path.name, reason=str(error)[:200]) from error
        if not self._file.metadata.num_rows:
            raise DataError("E2106", path.name)
        schema = self._file.schema_arrow
        self.columns = tuple(schema.names)
        self._json = {field.name for field in schema if (field.metadata or {}).get(_MARK)}
        self._path = path

    def __iter__(self) -> Iterator[Row]:
        import pyarrow as pa

        number = 0
        try:
            for batch in self._file.iter_batches(_BATCH):
                for values in batch.to_pylist():
                    number += 1
                    yield self._row(number, values)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError("E2235", self._path.name, reason=str(error)[:200]) from error

    def _row(self, number: int, values: Mapping[str, Any]) -> Row:
        found: dict[str, Any] = {}
        for name, value in values.items():
            if value is None:
                continue
            try:
                found[name] = json.loads(value) if name in self._json else _plain(value)
            except (TypeError, ValueError):
                return Row(number, {}, repr(values)[:1000], BadRow("E2211", name))
        return Row(number, found, json.dumps(found, ensure_ascii=False))


def _plain(value: Any) -> Any:
    """A value as JSON has it. Raises TypeError for bytes and what else JSON lacks, ValueError for NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise ValueError("not finite")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(type(value).__name__)


def write_parquet(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as a file, whole or not at all. Raises WriteError."""
    import pyarrow as pa
    from pyarrow import parquet

    names = dict.fromkeys(name for row in rows for name in row)
    fields, arrays = [], []
    for name in names:
        values = [row.get(name) for row in rows]
        array, marked = _array(values)
        fields.append(pa.field(name, array.type, metadata={_MARK: b"1"} if marked else None))
        arrays.append(array)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        working = aside(path)
        try:
            parquet.write_table(pa.table(arrays, schema=pa.schema(fields)), working)
            sync(working)
            working.replace(path)
        finally:
            working.unlink(missing_ok=True)
        sync(path.parent)


def _array(values: Sequence[Any]) -> tuple[Any, bool]:
    """A column, and whether it had to be written as JSON text to lose nothing."""
    import pyarrow as pa

    try:
        array = pa.array(values)
        same = [None if value is None else _plain(value) for value in array.to_pylist()] == list(values)
        if same and not pa.types.is_null(array.type) and not _holds_null(values) and _types(values) <= 1:
            return array, False
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        pass
    return pa.array(
        [None if value is None else json.dumps(value, ensure_ascii=False) for value in values], pa.string()
    ), True


def _types(values: Sequence[Any]) -> int:
    return len({type(value) for value in values if value is not None})


def _holds_null(value: Any) -> bool:
    """Whether a null, or an empty mapping, which Parquet cannot write, lies inside a value."""
    if isinstance(value, dict):
        return not value or any(item is None or _holds_null(item) for item in value.values())
    if isinstance(value, list):
        return any(isinstance(item, dict | list) and _holds_null(item) for item in value)
    return False
