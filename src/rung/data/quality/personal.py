"""Personal data in rows: counted for the check, and made unreadable wherever the check shows a text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rung.data.privacy.find import find_personal
from rung.data.privacy.found import Found
from rung.data.privacy.veil import shown
from rung.data.record import Record

SURE = 0.75
"""Findings with more than a guess behind them; the others are left to `rung data privacy`."""
_TOLD = 500
_LONGEST = 20_000
"""Characters of a text that are searched: enough to say that a row holds personal data."""


def count_personal(
    records: Sequence[Record], progress: Callable[[float, float, str], None] | None = None
) -> dict[int, Counter[str]]:
    """Rows that hold personal data, by their places, with how many findings of each kind."""
    found: dict[int, Counter[str]] = {}
    for place, record in enumerate(records):
        if progress and place % _TOLD == 0:
            progress(place, len(records), "personal data")
        kinds = Counter(hit.kind for _, text in record.texts() for hit in _sure(text))
        if kinds:
            found[place] = kinds
    return found


def unreadable(text: str) -> str:
    """The text with every finding shown as in reports: its first character and stars."""
    for hit in reversed(_sure(text)):
        text = text[: hit.start] + shown(hit.kind, hit.text) + text[hit.end :]
    return text


def _sure(text: str) -> list[Found]:
    return [hit for hit in find_personal(text[:_LONGEST]) if hit.sure >= SURE]
