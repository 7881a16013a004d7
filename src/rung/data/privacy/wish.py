"""Whom to forget: rows by id, by subject or by a text in them, and the words by which copies elsewhere are found."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.core.errors import UsageError
from rung.data.privacy.everywhere import change_texts
from rung.data.record import Record, Where
from rung.text.normalise import normalise_key

_SHORTEST = 12
"""Characters from which a text is found again without being taken for another's: "yes" is everybody's answer."""


@dataclass(frozen=True)
class Wish:
    """A request to forget. Its values appear in no `repr`, record or message."""

    ids: frozenset[str] = field(default=frozenset(), repr=False)
    subject: str = field(default="", repr=False)
    contains: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not (self.ids or self.subject or self.contains.strip()):
            raise UsageError("E2915")

    @property
    def by(self) -> tuple[str, ...]:
        """Which ways were used, without the values."""
        ways = (("id", self.ids), ("subject", self.subject), ("contains", self.contains))
        return tuple(name for name, value in ways if value)

    def matches(self, record: Record) -> bool:
        if record.id in self.ids or (self.subject and record.subject == self.subject):
            return True
        wanted = [text.casefold() for text in (self.contains,) if text]
        return bool(wanted) and any(word in text.casefold() for text in _texts(record) for word in wanted)

    def trace(self, rows: Iterable[Record]) -> Trace:
        """What to look for elsewhere, from the rows that match."""
        rows = list(rows)
        texts = {text for row in rows for where, text in row.texts() if where[0] in {"inputs", "messages"}}
        needles = {text for text in texts if len(text) >= _SHORTEST}
        return Trace(
            frozenset({row.id for row in rows} | self.ids),
            frozenset(normalise_key(text) for text in texts | {row.question for row in rows} if text),
            tuple(sorted(needles | ({self.contains} if self.contains else set()))),
        )


@dataclass(frozen=True)
class Trace:
    """How the rows of a wish are recognised in files that are no data sets."""

    ids: frozenset[str] = field(repr=False)
    keys: frozenset[str] = field(repr=False)
    """Their questions, normalised."""
    needles: tuple[str, ...] = field(repr=False)
    """Texts that are theirs alone."""

    def knows(self, id: str, texts: Sequence[str]) -> bool:
        """Whether a row elsewhere is one of them: by its text; by its id alone only where no text is known."""
        if any(normalise_key(text) in self.keys for text in texts if text):
            return True
        if any(needle.casefold() in text.casefold() for needle in self.needles for text in texts):
            return True
        return not self.keys and not self.needles and id in self.ids

    def in_bytes(self, data: bytes) -> bool:
        """Whether a file's bytes hold one of the texts, as it is or as JSON or HTML write it."""
        return any(form in data for form in self._forms())

    def in_value(self, value: Any) -> bool:
        """Whether a JSON value holds one of the texts."""
        if isinstance(value, str):
            return any(needle in value for needle in self.needles)
        if isinstance(value, dict):
            return any(self.in_value(held) for held in value.values())
        return isinstance(value, list) and any(self.in_value(held) for held in value)

    def _forms(self) -> set[bytes]:
        forms = set()
        for needle in self.needles:
            escaped = (json.dumps(needle)[1:-1], json.dumps(needle, ensure_ascii=False)[1:-1])
            for form in (needle, *escaped, html.escape(needle), html.escape(needle, quote=False)):
                forms.add(form.encode("utf-8", "surrogatepass"))
        return forms


def _texts(record: Record) -> list[str]:
    found: list[str] = []

    def note(where: Where, text: str) -> str:
        found.append(text)
        return text

    change_texts(record, note)
    return found
