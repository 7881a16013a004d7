"""Every text of a record, its other fields included: what a person could be found by lies not only in questions and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rung.data.record import Record, Where

Change = Callable[[Where, str], str]
_LONG = 1_000_000
"""Numbers from here on may be a phone's or a card's."""


def change_texts(record: Record, change: Change) -> Record:
    """The record with every text changed: inputs, messages, answers, annotations, ids, names, tool calls and extra fields.

    A long number in an extra field is offered as a text, and stays a number where it comes back as it was. Spans are the
    caller's to move.
    """
    changed = record.with_texts(change)
    return changed.model_copy(
        update={
            "id": change(("id",), record.id),
            "group": change(("group",), record.group),
            "subject": change(("subject",), record.subject),
            "labelled": {who: change(("labelled", who), said) for who, said in record.labelled.items()},
            "extra": _inside(record.extra, ("extra",), change),
            "messages": tuple(
                turn.model_copy(
                    update={
                        "name": change(("messages", n, "name"), turn.name),
                        "calls": _inside(turn.calls, ("messages", n, "calls"), change),
                    }
                )
                for n, turn in enumerate(changed.messages)
            ),
        }
    )


def _inside(value: Any, where: Where, change: Change) -> Any:
    if isinstance(value, str):
        return change(where, value)
    if isinstance(value, Mapping):
        return {name: _inside(held, (*where, name), change) for name, held in value.items()}
    if isinstance(value, list | tuple):
        made = [_inside(held, (*where, n), change) for n, held in enumerate(value)]
        return tuple(made) if isinstance(value, tuple) else made
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _LONG:
        said = change(where, str(value))
        return value if said == str(value) else said
    return value


def field_of(where: Where, text: str) -> str:
    """The column name that may say what a text is; a subject is a person whatever its column is called."""
    if where[0] == "subject":
        return "姓名" if any("\u4e00" <= char <= "\u9fff" for char in text) else "name"
    named = [part for part in where[1:] if isinstance(part, str)]
    return named[-1] if named else ""
