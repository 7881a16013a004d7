"""From a file or folder in any known format to records: every row accepted, or rejected with its place and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from rung.core.errors import DataError
from rung.core.hashing import hash_file, hash_folder, hash_json
from rung.data.findings import Finding
from rung.data.formats import beir
from rung.data.formats.detect import Detected, beir_seen, open_file
from rung.data.formats.row import decode_about
from rung.data.privacy.redact import redact
from rung.data.record import Record
from rung.data.rejects import BadRow, Reject, Row, check_share
from rung.data.versions.version import Source

_SHOWN = 20
_LINES = 5


@dataclass(frozen=True)
class ReadRecords:
    """What a file held. len(records) + len(rejects) = rows read: those left out by `dedupe` are rejects too."""

    records: tuple[Record, ...]
    rejects: tuple[Reject, ...]
    format: str
    mapping: Mapping[str, str]
    source: Source
    findings: tuple[Finding, ...]
    detected: Detected


def read_records(
    path: Path,
    *,
    format: str | None = None,
    mapping: Mapping[str, str] | None = None,
    encoding: str | None = None,
    max_bad_ratio: float = 0.01,
    dedupe: Literal["keep-first"] | None = None,
    empty: bool = False,
) -> ReadRecords:
    """Read rows of any format that `rung data import` knows; `format` None finds it out.

    `mapping`: column by field ('question': 'text', 'answer': 'category', 'group': 'customer'). Rows without an id are named
    after their content. `empty` keeps rows of a table that ask nothing, as records without a question. Raises DataError E2241 for ids that repeat unless `dedupe` keeps the first row of each,
    TooManyRejects (E2121, E2122) above `max_bad_ratio`, E2106 for nothing at all; as `detect` does.
    """
    if path.is_dir() and (format == beir.NAME or (format is None and beir.is_beir(path))):
        return _read_folder(path, max_bad_ratio)
    opened = open_file(path, format, mapping or {}, encoding, empty=empty)
    records: list[Record] = []
    rejects: list[Reject] = []
    repeats = _Repeats()
    changed: list[str] = []
    name = opened.path.name
    exact = not opened.file.textual and not name.endswith(".parquet")
    own = opened.codec.name == "rung"
    for row in opened.rows():
        problem = row.problem
        if problem is None:
            try:
                record = decode_about(opened.codec, row.values, opened.meta)
            except BadRow as bad:
                problem = bad
        if problem is not None:
            rejects.append(problem.reject(name, row.line, row.raw))
            continue
        if repeats.found(record, row):
            continue
        if exact and opened.codec.encode(record) != row.values:
            changed.append(f"{name}:{row.line}")
        records.append(record if own or record.source else record.model_copy(update={"source": f"{name}:{row.line}"}))
    check_share(name, len(records), rejects, max_bad_ratio)
    kept = _named(records)
    findings = repeats.findings(name, dedupe)
    rejects += [BadRow("E2212", "id", first=first).reject(name, row.line, row.raw) for row, first in repeats.left_out]
    encoding_used = opened.file.encoding
    if encoding_used.guessed and encoding is None:
        others = ", ".join(encoding_used.others)
        code = "E2258" if others else "E2281"
        findings.append(Finding("warning", code, {"name": encoding_used.name, "others": others}))
    findings += opened.file.findings
    if changed:
        findings.append(Finding("warning", "E2252", {"n": len(changed), "first": ", ".join(changed[:5])}))
    source = Source(
        name=name,
        sha256=hash_file(opened.path),
        rows=len(kept),
        format=opened.detected.format,
        encoding="" if name.endswith((".xlsx", ".xls", ".parquet")) else encoding_used.name,
    )
    detected = opened.detected
    return ReadRecords(
        tuple(kept), tuple(rejects), detected.format, detected.mapping, source, tuple(findings), detected
    )


def _read_folder(folder: Path, max_bad_ratio: float) -> ReadRecords:
    found = beir.read_beir(folder)
    name = folder.resolve().name
    check_share(name, len(found.records), found.rejects, max_bad_ratio)
    findings = [Finding("warning", "E2263", {"n": found.unjudged})] if found.unjudged else []
    twice = Counter(record.id for record in found.records)
    # A query that is judged in two splits is two rows.
    records = [
        record.model_copy(
            update={
                "id": record.id if twice[record.id] == 1 else f"{record.id}@{record.split}",
                "source": f"{name}/{beir.QUERIES}:{line}",
            }
        )
        for record, line in zip(found.records, found.lines, strict=True)
    ]
    source = Source(name=name, sha256=hash_folder(folder), rows=len(records), format=beir.NAME, encoding="utf-8")
    return ReadRecords(tuple(records), found.rejects, beir.NAME, {}, source, tuple(findings), beir_seen(found))


def _named(records: Sequence[Record]) -> list[Record]:
    """Records of which those without an id are named after their content."""
    copies: Counter[str] = Counter()
    named = []
    for record in records:
        if not record.id:
            name = content_name(record)
            copies[name] += 1
            record = record.model_copy(update={"id": name if copies[name] == 1 else f"{name}~{copies[name]}"})
        named.append(record)
    return named


def content_name(record: Record) -> str:
    """An id made from what a record says; for a plain question and answer the same as reading examples gives it."""
    said: list[object] = [dict(record.inputs), record.answers]
    if record.messages or record.system or record.rejected or record.positives or record.negatives or record.spans:
        turns = [[turn.role, turn.content, turn.calls] for turn in record.messages]
        spans = [span.model_dump() for span in record.spans]
        said += [record.system, turns, record.rejected, record.positives, record.negatives, spans]
    return hash_json(said, 12)


class _Repeats:
    """Rows whose id came before, with the lines of all rows that share it."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[int, Record]] = {}
        self._lines: dict[str, list[int]] = {}
        self._differing = 0
        self.left_out: list[tuple[Row, int]] = []

    def found(self, record: Record, row: Row) -> bool:
        if not record.id:
            return False
        line, said = self._first.setdefault(record.id, (row.line, record))
        if line == row.line:
            return False
        self._lines.setdefault(record.id, [line]).append(row.line)
        self._differing += said != record
        self.left_out.append((row, line))
        return True

    def findings(self, name: str, dedupe: str | None) -> list[Finding]:
        """What was left out. Raises DataError E2241 unless the first row of each id is to be kept."""
        if not self._lines:
            return []
        shown = listed_ids({id: lines[:_LINES] for id, lines in self._lines.items()})
        if dedupe is None:
            raise DataError("E2241", name, n=len(self._lines), ids=shown)
        values = {"n": len(self.left_out), "differing": self._differing, "ids": shown}
        return [Finding("warning", "E2257", values, tuple(self._lines))]


def listed_ids(lines: Mapping[str, Sequence[int]]) -> str:
    """The first ids with their lines; what looks like personal data is starred out."""
    places = [f"{redact(id)} (lines {', '.join(map(str, at))})" for id, at in islice(lines.items(), _SHOWN)]
    return ", ".join([*places, "..."] if len(lines) > _SHOWN else places)
