"""From a data file to examples: every row is accepted, or rejected with its place and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rung.core.errors import DataError
from rung.core.task import Example
from rung.data.encoding import Encoding
from rung.data.feedback import check_feedback
from rung.data.fields import ReadSpec, RowReader
from rung.data.findings import Finding
from rung.data.privacy.redact import redact
from rung.data.rejects import BadRow, Reject, check_share
from rung.data.table import DataFile

_SHOWN = 20
_NAME = 12
"""Digits of a name made from content."""


@dataclass(frozen=True)
class ReadResult:
    """What a file held. len(examples) + len(rejects) = rows read; blank lines are no rows."""

    examples: tuple[Example, ...]
    rejects: tuple[Reject, ...]
    columns: tuple[str, ...]
    encoding: Encoding
    dialect: str
    """Format and delimiter: 'csv, semicolon', 'jsonl', ..."""
    lines: Mapping[str, int]
    """The physical line of every accepted example, by id."""
    times: Mapping[str, str] = field(default_factory=dict)
    """What the time column says of every accepted example, by id; empty where none is named."""
    findings: tuple[Finding, ...] = ()
    """What a person should know about pairs, thumbs and dialogues."""

    @property
    def read(self) -> int:
        return len(self.examples) + len(self.rejects)

    @property
    def suggestions(self) -> dict[str, str]:
        """Unknown labels that a known one may be meant by; for the user to decide, never applied."""
        return {r.values["value"]: r.values["nearest"] for r in self.rejects if r.values.get("nearest")}


def read_examples(path: Path, spec: ReadSpec, *, prefix: str = "") -> ReadResult:
    """Read a CSV, TSV, JSONL or JSON file, plain or gzipped.

    An example without an id column is named after its content, so that its name does not depend on its row; `prefix` keeps
    such names apart between files. Raises DataError: E2100-E2111 for the file, E2112 for columns that it does not have,
    E2120 for ids that appear twice, E2121 (TooManyRejects) above `spec.max_bad_ratio`, E2122 where no row can be used.
    """
    file = DataFile(path, spec.encoding)
    if file.columns:
        _check_columns(path.name, spec, file.columns)
    reader = RowReader(spec)
    lines: dict[str, int] = {}
    times: dict[str, str] = {}
    examples: list[Example] = []
    rejects: list[Reject] = []
    repeated: dict[str, list[int]] = {}
    copies: Counter[str] = Counter()
    seen: dict[str, None] = dict.fromkeys(file.columns)
    for row in file:
        seen.update(dict.fromkeys(row.values))
        problem = row.problem
        if problem is None:
            try:
                example = reader.example(row.values)
            except BadRow as bad:
                problem = bad
        if problem is not None:
            rejects.append(problem.reject(path.name, row.line, row.raw))
            continue
        if not spec.id:
            example = _named_by_content(example, prefix, copies)
        elif example.id in lines:
            repeated.setdefault(example.id, [lines[example.id]]).append(row.line)
            continue
        lines[example.id] = row.line
        if spec.time:
            times[example.id] = str(row.values.get(spec.time) or "").strip()
        examples.append(example)
    if seen:
        _check_columns(path.name, spec, tuple(seen))
    if repeated:
        raise _repeated_ids(path.name, repeated)
    check_share(path.name, len(examples), rejects, spec.max_bad_ratio)
    told = check_feedback(examples)
    system = reader.system_messages
    findings = (*told.findings, *([Finding("info", "E2836", {"n": system})] if system else ()))
    encoding, dialect = file.encoding, file.dialect
    return ReadResult(told.examples, tuple(rejects), tuple(seen), encoding, dialect, lines, times, findings)


def read_files(paths: Mapping[str, Path], spec: ReadSpec) -> dict[str, ReadResult]:
    """Read the files of a user's own split, by split name. Raises DataError E2123 for an id that two files share."""
    results = {name: read_examples(path, spec, prefix=f"{name}-") for name, path in paths.items()}
    homes: dict[str, str] = {}
    shared: list[str] = []
    for name, result in results.items():
        for id in result.lines:
            if homes.setdefault(id, name) != name:
                shared.append(f"{redact(id)} ({homes[id]}, {name})")
    if shared:
        raise DataError("E2123", n=len(shared), ids=_first(shared))
    return results


def _named_by_content(example: Example, prefix: str, copies: Counter[str]) -> Example:
    name = prefix + example.hash[:_NAME]
    copies[name] += 1
    return replace(example, id=name if copies[name] == 1 else f"{name}~{copies[name]}")


def _check_columns(file: str, spec: ReadSpec, columns: Sequence[str]) -> None:
    missing = [name for name in spec.columns if name not in columns]
    if missing:
        raise DataError("E2112", file, missing=", ".join(missing), known=redact(", ".join(columns)))


def _repeated_ids(file: str, repeated: Mapping[str, Sequence[int]]) -> DataError:
    places = [f"{redact(id)} (lines {', '.join(map(str, lines[:5]))})" for id, lines in repeated.items()]
    return DataError("E2120", file, n=len(repeated), ids=_first(places))


def _first(items: Sequence[str]) -> str:
    return ", ".join(items[:_SHOWN]) + (", ..." if len(items) > _SHOWN else "")
