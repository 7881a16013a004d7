"""A plain table: rows of which each column is an input field, the answer, or something about the row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rung.data.formats.row import FORM, META, Given, Made
from rung.data.record import Record
from rung.data.rejects import BadRow

# Column names by role, the likelier first; compared in lower case without separators.
_NAMES: dict[str, list[str]] = json.loads(Path(__file__).with_name("columns.json").read_text("utf-8"))
_INPUTS = "inputs."
_EXTRA = "extra."
_TEXTS = ("answers", "rejected", "positives", "negatives")
_NESTED = ("messages", "tools", "spans", "labelled")
_NAME_OF = {"answers": "answer", "subject": "subject_id"}
FIELDS = tuple(role for role in _NAMES if role != "inputs")
"""What a column can be mapped to, besides an input field."""


@dataclass(frozen=True)
class Guess:
    """What the columns seem to be."""

    mapping: dict[str, str]
    """Column by field; input fields as 'inputs.NAME'."""
    sure: bool
    """Whether names alone tell the input and the answer."""


def guess_mapping(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Guess:
    """Fields by the names of the columns; where no name tells the input, columns whose texts seldom repeat."""
    mapping: dict[str, str] = {}
    left = [column for column in columns if column and not column.startswith(_EXTRA)]
    for column in [column for column in left if column.startswith(_INPUTS)]:
        mapping[column] = column
        left.remove(column)
    by_key = {_key(column): column for column in reversed(left)}
    for role in FIELDS:
        found = next((by_key[name] for name in _NAMES[role] if name in by_key), None)
        if found is not None:
            mapping[role] = found
            left.remove(found)
    named = [column for column in left if _key(column) in _NAMES["inputs"]]
    asked = named or (
        [] if set(mapping) & {"messages"} or any(f.startswith(_INPUTS) for f in mapping) else _telling(left, rows)
    )
    mapping = {**{_INPUTS + column: column for column in asked}, **mapping}
    has_input = bool(named) or "messages" in mapping or any(column.startswith(_INPUTS) for column in columns)
    unknown = [column for column in left if column not in asked]
    return Guess(mapping, has_input and ("answers" in mapping or not unknown))


def full_mapping(mapping: Mapping[str, str], guessed: Mapping[str, str]) -> dict[str, str]:
    """What a user says about columns, and guesses for what they leave open. Input fields are named as they are."""
    said = {_field(name): column for name, column in mapping.items()}
    asks = any(field.startswith(_INPUTS) for field in said)
    kept = {
        field: column
        for field, column in guessed.items()
        if field not in said and column not in said.values() and not (asks and field.startswith(_INPUTS))
    }
    return {**said, **kept}


def _field(name: str) -> str:
    name = {"answer": "answers", "document": "documents", "positive": "positives", "negative": "negatives"}.get(
        name, name
    )
    return name if name in FIELDS or name in META or name.startswith(_INPUTS) else _INPUTS + name


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _telling(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    found = []
    for column in columns:
        texts = [row[column] for row in rows if isinstance(row.get(column), str) and row[column].strip()]
        if texts and len(set(texts)) > len(rows) / 2:
            found.append(column)
    return found


class Table:
    """The codec of one table. `textual`: whether cells are texts, in which lists and mappings are JSON."""

    name = "table"
    suffix = ".csv"

    def __init__(
        self, mapping: Mapping[str, str], *, textual: bool = False, several: bool = False, empty: bool = False
    ) -> None:
        """`several`: some row has more than one right answer, so that all are written as lists. `empty`: a row without a
        question is a record too."""
        self._mapping = {field: column for field, column in mapping.items() if field not in META}
        self._textual, self._several, self._empty = textual, several, empty

    def fits(self, row: Mapping[str, Any]) -> bool:
        return True

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        said: dict[str, Any] = {"inputs": {}}
        for field, column in self._mapping.items():
            if column not in given.left:
                continue
            if field.startswith(_INPUTS):
                said["inputs"][field.removeprefix(_INPUTS)] = self._input(given, column)
            elif field in _TEXTS:
                said[field] = self._texts(given, column)
            elif field in _NESTED:
                said[field] = self._nested(given, column)
            elif field == "liked":
                said[field] = self._flag(given, column)
            elif field == "extra":
                given.left |= self._nested(given, column) or {}
            else:
                said[field] = given.text(column)
        asked = any(text.strip() for text in said["inputs"].values()) or said.get("messages")
        if not asked and not self._empty:
            raise BadRow("E2220", ", ".join(c for f, c in self._mapping.items() if f.startswith(_INPUTS)))
        for key in [key for key in given.left if key.startswith(_EXTRA)]:
            given.left[key.removeprefix(_EXTRA)] = given.left.pop(key)
        unusual = {field: column for field, column in self._mapping.items() if column != _column(field)}
        if unusual:
            given.form["columns"] = unusual
        try:
            return given.record(**{field: value for field, value in said.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise BadRow("E2230", format=self.name, detail=detail) from error

    def _input(self, given: Given, column: str) -> str:
        if isinstance(given.left[column], list | dict):
            given.left[column] = json.dumps(given.left[column], ensure_ascii=False)
            text = given.take(column) or ""
            given.form[column] = "json"
            return text
        return given.take(column) or ""

    def _texts(self, given: Given, column: str) -> tuple[str, ...]:
        value = given.left[column]
        if self._textual and isinstance(value, str) and value.startswith("[") and column in _TEXTS:
            value = _list_in(value)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            given.left.pop(column)
            given.form[column] = "list"
            return tuple(value)
        if isinstance(value, list | dict):
            return (self._input(given, column),)
        text = given.text(column)
        return (text,) if text else ()

    def _nested(self, given: Given, column: str) -> Any:
        value = given.left.pop(column)
        if isinstance(value, str) and value:
            try:
                value = json.loads(value)
            except ValueError as error:
                raise BadRow("E2230", column, format=self.name, detail=f"{column} is no JSON") from error
        if not isinstance(value, list | dict):
            if value is not None and value != "":
                raise BadRow("E2230", column, format=self.name, detail=f"{column} holds no list")
            given.form[column] = "null" if value is None else "empty"
            return None
        return value

    def _flag(self, given: Given, column: str) -> bool | None:
        value = given.left.pop(column)
        flags = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
        found = value if isinstance(value, bool) else flags.get(str(value).strip().lower())
        if found is None and value not in (None, ""):
            raise BadRow("E2230", column, format=self.name, detail=f"{column} is neither true nor false")
        if not isinstance(value, bool):
            given.form[column] = {"flag": value}
        return found

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        columns: Mapping[str, str] = made.form.get("columns", {})
        for name, text in record.inputs.items():
            column = columns.get(_INPUTS + name) or (name if made.own else _input_column(name))
            made.put(column, text)
        for field in _TEXTS:
            self._put_texts(made, field, columns.get(field), getattr(record, field))
        made.put(columns.get("system", "system"), record.system or None)
        plain = record.model_dump(mode="json", include=set(_NESTED), exclude_defaults=True)
        for field in _NESTED:
            column = columns.get(field, field)
            if field in plain:
                made.row[column] = plain[field]
            elif made.form.get(column) in {"null", "empty"}:
                made.put(column, None)
        self._put_flag(made, columns.get("liked", "liked"), record.liked)
        for field, column in _about(made):
            value = getattr(record, field)
            if value:
                made.row[column] = list(value) if isinstance(value, tuple) else value
        self._put_extra(made, record)
        return made.finish()

    def _put_texts(self, made: Made, field: str, column: str | None, texts: tuple[str, ...]) -> None:
        as_list = not made.own and (field != "answers" or self._several)
        column = column or (field if as_list else _column(field))
        how = made.form.get(column)
        if how == "list" or len(texts) > 1 or (texts and as_list):
            made.row[column] = list(texts)
        else:
            made.put(column, texts[0] if texts else None)

    def _put_flag(self, made: Made, column: str, liked: bool | None) -> None:
        how = made.form.get(column)
        if isinstance(how, dict) and self._flag(Given({column: how["flag"]}, self.name), column) == liked:
            made.row[column] = how["flag"]
        elif liked is not None:
            made.row[column] = liked

    def _put_extra(self, made: Made, record: Record) -> None:
        nested = {}
        for key, value in record.extra.items():
            if key == FORM:
                continue
            if self._textual and not isinstance(value, str):
                nested[key] = value
            elif not made.own and (_role(key) or key in made.row):
                made.row[_EXTRA + key] = value
            else:
                made.row.setdefault(key, value)
        if nested:
            made.row["extra"] = nested
        made.in_extra = frozenset(record.extra)


def _about(made: Made) -> Iterator[tuple[str, str]]:
    """Fields about the row, beyond those that its own columns hold, with their usual names."""
    for field in META:
        if field not in {"id", "source"} and field not in made.form.get("meta", {}):
            yield field, _column(field)


def _column(field: str) -> str:
    """The usual name of a field's column."""
    return _NAME_OF.get(field, field.removeprefix(_INPUTS))


def _role(column: str) -> str | None:
    key = _key(column)
    return next((role for role, names in _NAMES.items() if key in names), None)


def _input_column(name: str) -> str:
    """A name by which reading knows it for an input field."""
    return name if _role(name) == "inputs" else _INPUTS + name


def _list_in(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, list) and value and all(isinstance(item, str) for item in value) else text
