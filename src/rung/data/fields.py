"""From the values of one row to an example: which columns mean what, and when a row cannot be used."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rung.core.task import Example, OutputKind
from rung.data.labels import means_nothing, nearest_label, split_labels
from rung.data.privacy.redact import redact
from rung.data.rejects import BadRow
from rung.text.strict_json import RefusedJson, read_json, write_json

_SHOWN = 80
"""Characters of a row's own text that a message shows."""
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

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named."""
        named = (*self.inputs, self.answer, self.id, self.group, self.document, self.time)
        return tuple(name for name in named if name is not None)


class RowReader:
    """Turns rows into examples by one spec."""

    def __init__(self, spec: ReadSpec) -> None:
        self._spec = spec
        self._labels = frozenset(spec.labels)
        self._check_schema: Any = None
        if spec.json_schema is not None:
            from jsonschema import Draft202012Validator

            self._check_schema = Draft202012Validator(spec.json_schema)

    def example(self, values: Mapping[str, Any]) -> Example:
        """The example of a row; its id is '' without an id column. Raises BadRow, with a code of E2203 and E2210-E2227."""
        spec = self._spec
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
            documents=_documents(values.get(spec.document), spec.document) if spec.document else (),
        )

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
