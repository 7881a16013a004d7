"""From records to a file or folder in any known format, and what of them the format has no place for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, UsageError
from rung.data.findings import Finding
from rung.data.formats import beir, llamafactory
from rung.data.formats.codec import CannotCarry, Codec, codec_named, reasons
from rung.data.formats.containers import container_of, write_rows
from rung.data.formats.losses import lost_fields
from rung.data.formats.row import FORM
from rung.data.formats.table_rows import Table
from rung.data.record import Record

_TEXTUAL = {"csv", "tsv", "xlsx"}
_SHOWN = 5


@dataclass(frozen=True)
class Converted:
    """Records as the rows of a format."""

    rows: tuple[dict[str, Any], ...]
    findings: tuple[Finding, ...]
    """What was not carried, with counts."""
    unfit: tuple[str, ...]
    """Ids of records that have no place in the format at all."""
    said: Mapping[str, Any]
    """What dataset_info.json has to say of the rows; empty for other formats."""


def write_records(
    records: Sequence[Record], path: Path, *, format: str | None = None, skip_unfit: bool = False
) -> Path:
    """Write records; returns what was written.

    Without a format: a table for .csv, .tsv and .xlsx, else Rung's own records. Raises UsageError E2237 and E2249 for a
    format or a name that is none, DataError E2236 for records that the format has no place for unless they are to be left
    out, E2238 for what Excel cannot hold, WriteError.
    """
    converted = convert(records, path, format)
    return write_converted(converted, path, format, skip_unfit=skip_unfit)


def convert(records: Sequence[Record], path: Path, format: str | None = None) -> Converted:
    """The rows that `write_records` would write, and what they lose. Raises UsageError as it does."""
    name = _format(path, format)
    container = "" if name == beir.NAME else container_of(_file(path, name))
    said: Mapping[str, Any] = {}
    if name == "table":
        records = _alike(records)
        codec: Codec = Table({}, textual=container in _TEXTUAL, several=any(len(r.answers) > 1 for r in records))
    elif name == llamafactory.NAME:
        said = llamafactory.entry_for(records)
        codec = llamafactory.LlamaFactory(said)
    elif name == beir.NAME:
        codec = beir.BeirRows()
    else:
        codec = codec_named(name)
    rows: list[dict[str, Any]] = []
    lost: dict[str, list[str]] = defaultdict(list)
    unfit: dict[str, list[str]] = defaultdict(list)
    for record in records:
        try:
            row = codec.encode(record)
        except CannotCarry as reason:
            unfit[reason.code].append(record.id)
            continue
        if (
            container in _TEXTUAL
            and name not in {"table"}
            and any(isinstance(v, list | dict) and v for v in row.values())
        ):
            raise UsageError("E2249", path=path.name, known=".jsonl, .json, .parquet")
        rows.append(row)
        for field in lost_fields(record, row, codec, name):
            lost[field].append(record.id)
    findings = [
        Finding("warning", "E2253", {"field": field, "n": len(ids), "format": name}, tuple(ids))
        for field, ids in lost.items()
    ]
    for code, ids in unfit.items():
        why = reasons()[code]
        values = {"n": len(ids), "format": name, "reason": why["en"], "reason_zh": why["zh"]}
        findings.append(Finding("warning", "E2254", {**values, "first": ", ".join(ids[:_SHOWN])}, tuple(ids)))
    return Converted(tuple(rows), tuple(findings), tuple(id for ids in unfit.values() for id in ids), said)


def write_converted(converted: Converted, path: Path, format: str | None = None, *, skip_unfit: bool = False) -> Path:
    """Write rows that `convert` made; raises as `write_records` does."""
    name = _format(path, format)
    if converted.unfit and not (skip_unfit and converted.rows):
        told = [finding.values for finding in converted.findings if finding.code == "E2254"]
        raise DataError(
            "E2236",
            n=len(converted.unfit),
            total=len(converted.rows) + len(converted.unfit),
            format=name,
            reasons=", ".join(f"{values['reason']}: {values['n']}" for values in told),
            reasons_zh="、".join(f"{values['reason_zh']}：{values['n']}" for values in told),
        )
    if name == beir.NAME:
        beir.write_beir(converted.rows, path)
        return path
    file = _file(path, name)
    write_rows(converted.rows, file)
    if name == llamafactory.NAME:
        llamafactory.add_entry(file, converted.said)
    return file


def _format(path: Path, format: str | None) -> str:
    if format in {None, "jsonl", "json", "parquet"}:
        return "table" if format is None and container_of(path) in _TEXTUAL else "rung"
    return "table" if format in {"csv", "tsv", "xlsx"} else str(format)


def _file(path: Path, name: str) -> Path:
    """The file of a data set in LLaMA-Factory's folder, where only the folder was named."""
    return path / "data.json" if name == llamafactory.NAME and not path.suffix else path


def _alike(records: Sequence[Record]) -> Sequence[Record]:
    """Records of a table keep its columns only where all of them come from it: one file has one header."""
    forms = [record.extra.get(FORM, {}) for record in records]
    first = forms[0] if forms else {}
    if all(f.get("of") == "table" and f.get("columns") == first.get("columns") for f in forms):
        return records
    return [
        record.model_copy(update={"extra": {k: v for k, v in record.extra.items() if k != FORM}}) for record in records
    ]
