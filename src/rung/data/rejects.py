"""A row of a data file, and why it cannot be used where it cannot."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.core.durable import write_whole
from rung.core.errors import DataError, Problem

RAW_LIMIT = 1 << 16
"""Characters of a rejected row that are kept."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One unusable row. Its reason is a code of the message catalogue, E2201-E2229."""

    file: str
    line: int
    code: str
    raw: str
    column: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" + (f" {self.column}" if self.column else "")

    @property
    def problem(self) -> Problem:
        return Problem(self.code, self.where, self.values)

    def to_json(self) -> dict[str, Any]:
        """Plain values for rejects.jsonl; the reason in both languages."""
        raw = self.raw[:RAW_LIMIT]
        return {
            "file": self.file,
            "line": self.line,
            "field": self.column,
            "code": self.code,
            "reason": self.problem.message("en"),
            "reason_zh": self.problem.message("zh"),
            "raw": raw,
            "raw_cut": len(raw) < len(self.raw),
        }


class BadRow(ValueError):
    """Raised while a row is read; becomes a Reject where file, line and raw text are known."""

    def __init__(self, code: str, column: str = "", /, **values: Any) -> None:
        super().__init__(code)
        self.code, self.column, self.values = code, column, values

    def reject(self, file: str, line: int, raw: str) -> Reject:
        return Reject(file, line, self.code, raw, self.column, self.values)


@dataclass(frozen=True, slots=True)
class Row:
    """One row as its file held it. `problem` says why it cannot be used; `values` is empty then."""

    line: int
    """Physical line on which it starts, from 1."""
    values: Mapping[str, Any]
    """By column: text, or whatever JSON held."""
    raw: str
    problem: BadRow | None = None


class TooManyRejects(DataError):
    """More rows are unusable than data.max_bad_ratio allows. Nothing is imported; `rejects` can still be written."""

    def __init__(self, code: str, problems: Sequence[Problem], rejects: Sequence[Reject]) -> None:
        super().__init__(code, problems=problems)
        self.rejects = tuple(rejects)


def rejects_jsonl(rejects: Iterable[Reject]) -> str:
    """The text of rejects.jsonl, one line a reject. Undecodable bytes appear as escapes, so the text is valid UTF-8."""
    lines = [json.dumps(reject.to_json(), ensure_ascii=False) + "\n" for reject in rejects]
    return "".join(lines).encode("utf-8", "backslashreplace").decode("utf-8")


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write rejects.jsonl, readable by its owner alone: it holds rows as they came, personal data and all.

    Raises WriteError E5001, E5002.
    """
    write_whole(path, rejects_jsonl(rejects).encode(), private=True)


def count_rejects(rejects: Iterable[Reject]) -> dict[str, int]:
    """Rejected rows by code, the most frequent first."""
    return dict(Counter(reject.code for reject in rejects).most_common())


def check_share(file: str, good: int, rejects: Sequence[Reject], limit: float) -> None:
    """Raise DataError E2106 for a file without rows, TooManyRejects E2121 above the limit and E2122 where no row is good."""
    bad = len(rejects)
    read = good + bad
    if not read:
        raise DataError("E2106", file)
    if good and bad <= limit * read:
        return
    counts = ", ".join(f"{code}: {n}" for code, n in count_rejects(rejects).items())
    code = "E2121" if good else "E2122"
    values = {"bad": bad, "read": read, "share": f"{bad / read:.1%}", "limit": f"{limit:.1%}", "counts": counts}
    raise TooManyRejects(code, [Problem(code, file, values), *(reject.problem for reject in rejects[:5])], rejects)
