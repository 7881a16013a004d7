"""What a record said that its row in another format does not: found by reading the row back, not by a list of promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rung.data.formats.codec import Codec
from rung.data.formats.row import FORM, MADE_ID
from rung.data.formats.turns import dialogue
from rung.data.record import Record
from rung.data.rejects import BadRow

_FIELDS = (
    "liked", "positives", "negatives", "spans", "documents", "split", "group", "time", "language", "licence", "subject",
    "synthetic", "labelled",
)  # fmt: skip


def lost_fields(record: Record, row: Mapping[str, Any], codec: Codec, format: str) -> Iterator[str]:
    """The fields of a record that are gone or changed once its row is read again."""
    if format == "rung" or (_of(record) == codec.name and not _touched(record)):
        # Rows of the very format that they were read from are checked where they are read.
        return
    if format == "table":
        # A table has a column for every field; only what a chat format said of single messages stays behind.
        yield from _odd_messages(record, codec)
        return
    try:
        again = codec.decode(row)
    except BadRow:
        yield "inputs"
        return
    if not MADE_ID.fullmatch(record.id) and again.id != record.id:
        yield "id"
    if _said(record) != _said(again):
        yield "messages" if record.messages else "inputs"
    asked = [text for text in record.inputs.values() if text]
    if len(asked) > 1 and [text for text in again.inputs.values() if text] != asked:
        yield "input fields"
    if record.answers[1:] != again.answers[1:]:
        yield "further answers"
    if record.rejected != again.rejected:
        yield "further rejected" if again.rejected else "rejected"
    if [t.get("function", t) for t in record.tools] != [t.get("function", t) for t in again.tools]:
        yield "tools"
    if _trained(record) != _trained(again):
        yield "trained"
    for field in _FIELDS:
        if (
            _says(record, field)
            and getattr(again, field) != getattr(record, field)
            and not _as_answer(record, again, field)
        ):
            yield field
    for key, value in record.extra.items():
        if key != FORM and again.extra.get(key) != value:
            yield f"extra.{key}"
    yield from _odd_messages(record, codec)


def _odd_messages(record: Record, codec: Codec) -> Iterator[str]:
    if _of(record) in {"", codec.name}:
        return
    if any("extra" in odd for odd in record.extra[FORM].get("turns", {}).values()):
        yield "fields of messages"


def _of(record: Record) -> str:
    form = record.extra.get(FORM)
    return str(form.get("of", "")) if isinstance(form, dict) else ""


def _touched(record: Record) -> bool:
    """Whether it says something that its source's row may not have: set since it was read."""
    return any(_says(record, field) for field in _FIELDS)


def _says(record: Record, field: str) -> bool:
    return bool(getattr(record, field) != Record.model_fields[field].default)


def _trained(record: Record) -> list[bool]:
    return [turn.trained for turn in record.messages if turn.trained is not None]


def _as_answer(record: Record, again: Record, field: str) -> bool:
    """Positives that another format calls the answer, and the other way round."""
    return field == "positives" and record.positives == again.answers


def _said(record: Record) -> list[Any]:
    """Who says what, in one order for all formats."""
    turns = dialogue(record)
    return [[turn.role, turn.content, _functions(turn.calls)] for turn in turns if turn.content or turn.calls]


def _functions(calls: tuple[dict[str, Any], ...]) -> list[Any]:
    return [call.get("function", call) for call in calls]
