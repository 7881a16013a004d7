"""What personal data rows hold: counts by kind, examples that show no value, and the rows to look at first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rung.core.task import Language
from rung.data.privacy.everywhere import change_texts, field_of
from rung.data.privacy.find import find_personal
from rung.data.privacy.kinds import kinds as all_kinds
from rung.data.privacy.redact import redact
from rung.data.privacy.veil import shown
from rung.data.record import Record, Where

_EXAMPLES = 3
_LISTED = 50
_TOLD = 200
"""Rows between two words of progress."""


@dataclass(frozen=True)
class KindCount:
    """How much of one kind there is."""

    kind: str
    found: int
    rows: int
    sure: int
    """Findings with more than a guess behind them: 0.75 and above."""
    examples: tuple[str, ...]
    """At most three, of which the first character is left."""


@dataclass(frozen=True)
class Survey:
    """Personal data in rows or texts. No field holds a value that was found."""

    rows: int
    touched: int
    counts: tuple[KindCount, ...]
    """By kind, the most frequent first."""
    look_at: tuple[dict[str, Any], ...]
    """Rows with the most findings: {row, place, kinds: {kind: n}}."""

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "touched": self.touched,
            "kinds": {
                c.kind: {
                    "found": c.found,
                    "rows": c.rows,
                    "sure": c.sure,
                    "format": all_kinds()[c.kind].format,
                    "examples": list(c.examples),
                }
                for c in self.counts
            },
            "look_at": list(self.look_at),
        }


@dataclass(frozen=True, slots=True)
class Piece:
    """One text of a row, under the name of its field."""

    field: str
    text: str


def survey_records(
    records: Sequence[Record],
    kinds: Sequence[str] | None = None,
    language: Language | None = None,
    *,
    progress: Callable[[float, float, str], None] | None = None,
) -> Survey:
    """Count personal data in records, their other fields included."""

    def told() -> Iterator[tuple[str, Sequence[Piece]]]:
        for n, record in enumerate(records):
            if progress is not None and n % _TOLD == 0:
                progress(n, len(records), "")
            yield record.id, _pieces(record)

    return survey(told(), kinds, language)


def survey(
    rows: Iterable[tuple[str, Sequence[Piece]]], kinds: Sequence[str] | None = None, language: Language | None = None
) -> Survey:
    """Count personal data in named rows of texts. Raises UsageError E2910 for an unknown kind."""
    found: Counter[str] = Counter()
    sure: Counter[str] = Counter()
    in_rows: Counter[str] = Counter()
    examples: dict[str, dict[str, None]] = {}
    look_at: list[dict[str, Any]] = []
    n = 0
    for n, (name, pieces) in enumerate(rows, 1):
        here: Counter[str] = Counter()
        for piece in pieces:
            for hit in find_personal(piece.text, kinds, language, field=piece.field):
                here[hit.kind] += 1
                sure[hit.kind] += hit.sure >= 0.75
                kept = examples.setdefault(hit.kind, {})
                if len(kept) < _EXAMPLES:
                    kept[shown(hit.kind, hit.text)] = None
        if here:
            found += here
            in_rows.update(here.keys())
            look_at.append({"row": redact(name), "place": n, "kinds": dict(here)})
    look_at.sort(key=lambda row: (-len(row["kinds"]), -sum(row["kinds"].values()), row["place"]))
    counts = tuple(
        KindCount(kind, count, in_rows[kind], sure[kind], tuple(examples[kind])) for kind, count in found.most_common()
    )
    return Survey(n, len(look_at), counts, tuple(look_at[:_LISTED]))


def _pieces(record: Record) -> list[Piece]:
    pieces: list[Piece] = []

    def note(where: Where, text: str) -> str:
        if text:
            pieces.append(Piece(field_of(where, text), text))
        return text

    change_texts(record, note)
    return pieces
