"""One row of a foreign format, taken apart into a record and put together again, with nothing lost on the way.

What a record has no field for stays in `Record.extra` under the row's own name. How the row was written, where that does not
follow from what it says (a null, a number, an unusual column name), is noted in `extra["rung"]`: only forms, never a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rung.data.record import Record
from rung.data.rejects import BadRow
from rung.text.strict_json import RefusedJson, read_json

if TYPE_CHECKING:
    from rung.data.formats.codec import Codec

FORM = "rung"
"""The key of `Record.extra` that says how the source wrote the row."""
MADE_ID = re.compile(r"[0-9a-f]{12}(~\d+)?")
"""Ids made from a row's content; they are made again wherever it is read, so foreign formats do not carry them."""
META = ("id", "group", "time", "split", "language", "licence", "subject", "source", "documents", "synthetic")
"""Fields about a row that a column of any format can be mapped to."""
_SPLITS = {
    "train": "train", "training": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test",
}  # fmt: skip
_DOCUMENT_GAP = re.compile(r"\s*[;；|\n]\s*")


class Given:
    """The fields of a row that is read, taken one by one; what is left at the end is kept as extra."""

    def __init__(self, row: Mapping[str, Any], of: str, meta: Mapping[str, str] | None = None) -> None:
        """`of`: the format; `meta`: columns of fields about the row, by field. Raises BadRow E2243 for a reserved name."""
        if FORM in row:
            raise BadRow("E2243", FORM)
        self.left = dict(row)
        self.form: dict[str, Any] = {}
        self._of = of
        self._meta = dict(meta or {})
        self._said = {field: self.left.pop(column) for field, column in self._meta.items() if column in self.left}

    def take(self, key: str) -> str | None:
        """The text of a field: None where the row lacks it, '' for null. Other plain values become their JSON text."""
        if key not in self.left:
            return None
        value = self.left.pop(key)
        if value is None:
            self.form[key] = "null"
            return ""
        if isinstance(value, str):
            return plain(value, key)
        if isinstance(value, list | dict):
            raise BadRow("E2211", key)
        self.form[key] = "json"
        return json.dumps(value)

    def text(self, key: str) -> str:
        """The same for a field whose presence a record cannot show: '' is noted."""
        text = self.take(key)
        if text == "" and key not in self.form:
            self.form[key] = "empty"
        return text or ""

    def items(self, key: str) -> list[Any] | None:
        """A list, or the JSON text of one as spreadsheets hold it; None where the row lacks it. Raises BadRow E2230."""
        if key not in self.left:
            return None
        value = self.left.pop(key)
        if value is None:
            self.form[key] = "null"
            return None
        if isinstance(value, str):
            value = _json_cell(value)
        if not isinstance(value, list):
            raise BadRow("E2230", key, format=self._of, detail=f"{key} is no list")
        if not value:
            self.form[key] = "empty"
        return value

    def record(self, **said: Any) -> Record:
        """The record, with what is left as its extra."""
        said |= self._about()
        extra = self.left
        if "id" not in said:
            said["id"] = ""
            id = extra.get("id")
            if isinstance(id, str | int) and not isinstance(id, bool) and str(id).strip():
                said["id"] = str(id)
                if isinstance(id, str) and not MADE_ID.fullmatch(id):
                    del extra["id"]
        return Record(extra={**extra, FORM: {"of": self._of, **self.form}}, **said)

    def _about(self) -> dict[str, Any]:
        """Fields about the row from the columns mapped to them."""
        found: dict[str, Any] = {}
        columns = {field: column for field, column in self._meta.items() if field in self._said}
        for field, column in columns.items():
            value = self._said[field]
            if field == "documents" and isinstance(value, list):
                found[field] = tuple(str(name) for name in value)
                self.form[column] = "list"
                continue
            self.left[column] = value
            text = self.take(column) or ""
            if field == "split":
                found[field] = _split(text, column) if text.strip() else None
                if text and text != found[field]:
                    self.form[column] = {"split": text}
            elif field == "documents":
                found[field] = documents_of(text)
                if text and text != "; ".join(found[field]):
                    self.left[column] = text
            elif field == "synthetic":
                found[field] = text.strip().lower() in {"true", "1", "yes"}
                if text and text != json.dumps(found[field]):
                    self.left[column] = text
            else:
                found[field] = text
            if text == "" and column not in self.form:
                self.form[column] = "empty"
        if columns:
            self.form["meta"] = columns
        return found


def decode_about(codec: Codec, row: Mapping[str, Any], meta: Mapping[str, str]) -> Record:
    """The record of a row of which some columns, by field, say things about it. Raises BadRow as the codec does."""
    columns = {field: column for field, column in meta.items() if column in row}
    if not columns:
        return codec.decode(row)
    about = Given({column: row[column] for column in columns.values()}, codec.name, columns).record()
    record = codec.decode({key: value for key, value in row.items() if key not in columns.values()})
    said = {field: getattr(about, field) for field in columns}
    extra = record.extra | about.extra
    extra[FORM] = record.extra.get(FORM, {}) | about.extra[FORM]
    return record.model_copy(update={**said, "extra": extra})


class Made:
    """The fields of a row that is written, put one by one."""

    def __init__(self, record: Record, of: str) -> None:
        form = record.extra.get(FORM)
        self.own = isinstance(form, dict) and form.get("of") == of
        """Whether the record was read from this very format."""
        self.form: dict[str, Any] = form if self.own and isinstance(form, dict) else {}
        self.row: dict[str, Any] = {}
        self.in_extra: frozenset[str] = frozenset()
        """Extra fields that are written already."""
        self._record = record

    def put(self, key: str, text: str | None) -> None:
        """A text, written as its source wrote it; None for a field that the record does not have."""
        kind = self.form.get(key)
        if text:
            self.row[key] = _as_json(text) if kind == "json" else text
        elif kind == "null":
            self.row[key] = None
        elif kind == "empty" or text is not None:
            self.row[key] = ""

    def put_items(self, key: str, items: list[Any]) -> None:
        """A list; an empty one only where the source had it."""
        if items or self.form.get(key) == "empty":
            self.row[key] = items
        elif self.form.get(key) == "null":
            self.row[key] = None

    def finish(self) -> dict[str, Any]:
        """The row, with the record's extra fields and its id where somebody gave it one."""
        record = self._record
        columns = self.form.get("meta", {})
        for field, column in columns.items():
            self._put_about(field, column)
        for key, value in record.extra.items():
            if key != FORM and key not in self.in_extra:
                self.row.setdefault(key, value)
        if record.id and "id" not in columns and "id" not in self.row and not MADE_ID.fullmatch(record.id):
            self.row["id"] = record.id
        return self.row

    def _put_about(self, field: str, column: str) -> None:
        value = getattr(self._record, field)
        kind = self.form.get(column)
        if column in self._record.extra:
            # Written in a way of its own: kept where it still means the same.
            raw = self._record.extra[column]
            if (documents_of(raw) if field == "documents" else raw.strip().lower() in {"true", "1", "yes"}) == value:
                self.row[column] = raw
                return
        if field == "split" and isinstance(kind, dict) and _SPLITS.get(kind["split"].strip().lower()) == value:
            self.row[column] = kind["split"]
        elif field == "documents":
            if kind == "list":
                self.row[column] = list(value)
            else:
                self.put(column, "; ".join(value) or None)
        elif field == "synthetic":
            self.put(column, json.dumps(value) if value or kind == "json" else None)
        else:
            self.put(column, value or None)


def plain(text: str, key: str = "") -> str:
    """A text as it is. Raises BadRow E2203 for one with a NUL character, which few programs can hold."""
    if "\0" in text:
        raise BadRow("E2203", key)
    return text


def documents_of(text: str) -> tuple[str, ...]:
    """The document ids in a cell, between semicolons, bars or line ends."""
    return tuple(dict.fromkeys(name for part in _DOCUMENT_GAP.split(text) if (name := part.strip())))


def _split(text: str, column: str) -> str:
    found = _SPLITS.get(text.strip().lower())
    if found is None:
        raise BadRow("E2242", column, value=text)
    return found


def _as_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _json_cell(text: str) -> Any:
    try:
        return read_json(text)
    except (RefusedJson, ValueError):
        return text
