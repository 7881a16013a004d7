"""From the values of one row to an example: which columns mean what, and when a row cannot be used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.core.task import Example, OutputKind, Turn
from rung.data.formats.sharegpt import tags_of
from rung.data.formats.turns import read_turns
from rung.data.labels import means_nothing, nearest_label, split_labels
from rung.data.privacy.redact import redact
from rung.data.record import Record
from rung.data.rejects import BadRow
from rung.text.strict_json import RefusedJson, read_json, write_json

_SHOWN = 80
"""Characters of a row's own text that a message shows."""
_UP = frozenset(("true", "1", "1.0", "yes", "y", "up", "good", "like", "liked", "👍", "赞", "好", "是", "喜欢", "满意"))
_DOWN = frozenset(("false", "0", "0.0", "-1", "no", "n", "down", "bad", "dislike", "disliked", "👎", "踩", "差", "否", "不喜欢", "不满意"))  # fmt: skip
_BETWEEN_DOCUMENTS = re.compile(r"\s*[;；|\n]\s*")


@dataclass(frozen=True)
class ReadSpec:
    """What the columns of a data file mean."""

    inputs: tuple[str, ...]
    answer: str
    kind: OutputKind
    labels: tuple[str, ...] = ()
    """The declared labels; empty when any label is allowed."""
    json_schema: dict[str, Any] | None = None
    id: str | None = None
    group: str | None = None
    document: str | None = None
    time: str | None = None
    encoding: str | None = None
    max_bad_ratio: float = 0.01
    rejected: str | None = None
    """Worse answers: preference pairs."""
    liked: str | None = None
    """A thumb up or down for the answer."""
    messages: str | None = None
    """A dialogue: its last question is the only input, and its last answer the answer where no column holds one."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named and must be there."""
        asked = (self.messages,) if self.messages else (*self.inputs, self.answer)
        named = (*asked, self.id, self.group, self.document, self.time, self.rejected, self.liked)
        return tuple(name for name in named if name is not None)


class RowReader:
    """Turns rows into examples by one spec."""

    def __init__(self, spec: ReadSpec) -> None:
        self._spec = spec
        self.system_messages = 0
        """Dialogues so far that began with a message of the system; the task's instruction stands in its place."""
        self._labels = frozenset(spec.labels)
        self._check_schema: Any = None
        if spec.json_schema is not None:
            from jsonschema import Draft202012Validator

            self._check_schema = Draft202012Validator(spec.json_schema)

    def example(self, values: Mapping[str, Any]) -> Example:
        """The example of a row; its id is '' without an id column. Raises BadRow, with a code of E2203 and E2210-E2227."""
        spec = self._spec
        history: tuple[Turn, ...] = ()
        if spec.messages:
            dialogue = self._dialogue(values)
            history, values = dialogue.history, self._unfolded(values, dialogue)
        inputs = {name: _text(values.get(name), name).strip() for name in spec.inputs}
        if not any(inputs.values()):
            raise BadRow("E2220", ", ".join(spec.inputs))
        if spec.answer not in values:
            raise BadRow("E2210", spec.answer)
        id = _text(values.get(spec.id), spec.id).strip() if spec.id else ""
        if spec.id and not id:
            raise BadRow("E2227", spec.id)
        return Example(
            id=id,
            inputs=inputs,
            references=self._references(values[spec.answer]),
            group=_text(values.get(spec.group), spec.group).strip() if spec.group else "",
            rejected=self._rejected(values.get(spec.rejected), spec.rejected) if spec.rejected else (),
            liked=read_thumb(values.get(spec.liked), spec.liked) if spec.liked else None,
            history=history,
            documents=_documents(values.get(spec.document), spec.document) if spec.document else (),
        )

    def _dialogue(self, values: Mapping[str, Any]) -> Example:
        """The dialogue of a row as an example. Raises BadRow E2230 for messages that are none, E2837 without a question."""
        field = str(self._spec.messages)
        found = values.get(field)
        if isinstance(found, str):
            try:
                found = read_json(found)
            except (RefusedJson, ValueError) as error:
                raise BadRow("E2230", field, format="messages", detail=error) from error
        if not isinstance(found, list) or not found:
            raise BadRow("E2230", field, format="messages", detail="it is no list of messages")
        turns = read_turns(found, tags_of(found), {}, "messages")
        if not any(turn.role == "user" and turn.content.strip() for turn in turns):
            raise BadRow("E2837", field)
        self.system_messages += any(turn.role == "system" for turn in turns)
        return Record(id="", messages=turns).to_example(self._spec.inputs)

    def _unfolded(self, values: Mapping[str, Any], dialogue: Example) -> dict[str, Any]:
        """A row's values with question and answer in columns of their own."""
        spec = self._spec
        unfolded = {**values, **dialogue.inputs}
        for name in (spec.answer, spec.rejected):
            if name in unfolded:
                unfolded[name] = said_in(unfolded[name])
        if spec.answer not in unfolded and dialogue.references:
            unfolded[spec.answer] = dialogue.references[0]
        return unfolded

    def _rejected(self, value: Any, field: str) -> tuple[str, ...]:
        """Worse answers; none where the cell is empty."""
        if value is None or value == "" or value == []:
            return ()
        if self._spec.kind == "json":
            return (self._json(value),)
        items = value if isinstance(value, list) else [value]
        return tuple(dict.fromkeys(text for item in items if (text := _text(item, field).strip())))

    def _references(self, value: Any) -> tuple[str, ...]:
        if self._spec.kind == "json":
            return (self._json(value),)
        items = value if isinstance(value, list) else [value]
        texts = tuple(dict.fromkeys(_text(item, self._spec.answer) for item in items))
        if not texts or not all(text.strip() for text in texts):
            raise BadRow("E2221", self._spec.answer)
        if self._spec.kind == "label":
            return (self._label(texts),)
        return tuple(dict.fromkeys(text.strip() for text in texts))

    def _label(self, texts: tuple[str, ...]) -> str:
        # A label is kept to the letter: '是 ' is not silently made '是'.
        field, label = self._spec.answer, texts[0]
        if len(texts) > 1:
            raise BadRow("E2224", field, value=_excerpt(", ".join(texts)))
        if label in self._labels:
            return label
        if means_nothing(label):
            raise BadRow("E2222", field, value=label)
        if self._labels:
            if split_labels(label, self._labels):
                raise BadRow("E2224", field, value=label)
            nearest = nearest_label(label, self._spec.labels)
            raise BadRow(
                "E2223",
                field,
                # What nearly is a label is shown to the letter; anything else may be a person's text.
                value=label if nearest else _excerpt(label),
                nearest=nearest or "",
                near=f" Did you mean '{nearest}'?" if nearest else "",
                near_zh=f"是否应为“{nearest}”？" if nearest else "",
            )
        return label

    def _json(self, value: Any) -> str:
        field = self._spec.answer
        if value is None or (isinstance(value, str) and not value.strip()):
            raise BadRow("E2221", field)
        try:
            value = read_json(value) if isinstance(value, str) else value
        except (RefusedJson, ValueError) as error:
            raise BadRow("E2225", field, detail=error) from error
        if self._check_schema is not None:
            misfit = next(self._check_schema.iter_errors(value), None)
            if misfit is not None:
                raise BadRow("E2226", field, detail=_excerpt(f"{misfit.json_path}: {misfit.message}", 220))
        return write_json(value)


def said_in(value: Any) -> Any:
    """The text of an answer that is written as a message, or as a list of one; anything else as it is."""
    message = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(message, dict):
        return next((message[key] for key in ("content", "value") if isinstance(message.get(key), str)), value)
    return value


def read_thumb(value: Any, field: str) -> bool | None:
    """A thumb up or down; None for an empty cell. Raises BadRow E2832 for anything that is neither."""
    word = _text(value, field).strip().casefold()
    if not word:
        return None
    if word in _UP or word in _DOWN:
        return word in _UP
    raise BadRow("E2832", field, value=_excerpt(word))


def _excerpt(text: str, length: int = _SHOWN) -> str:
    """The beginning of a row's own text for a message, personal data starred out."""
    # Twice as much is looked at, so that nothing is shown of a number that the cut would halve.
    return redact(text[: 2 * length])[:length]


def _text(value: Any, field: str) -> str:
    """A JSON value as text: numbers and booleans as JSON writes them, null as nothing."""
    if value is None:
        return ""
    if isinstance(value, list | dict):
        raise BadRow("E2211", field)
    text = value if isinstance(value, str) else json.dumps(value)
    if "\0" in text:
        raise BadRow("E2203", field)
    return text


def _documents(value: Any, field: str) -> tuple[str, ...]:
    items = value if isinstance(value, list) else _BETWEEN_DOCUMENTS.split(_text(value, field))
    return tuple(dict.fromkeys(name for item in items if (name := _text(item, field).strip())))
