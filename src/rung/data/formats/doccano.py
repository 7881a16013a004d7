"""Marked spans a line: doccano's JSONL (spans, entities, categories), CLUENER's label by kind, and plain lists of spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rung.data.formats.codec import CannotCarry
from rung.data.formats.row import Given, Made
from rung.data.privacy.redact import redact
from rung.data.record import Record, Span
from rung.data.rejects import BadRow

_TEXTS = ("text", "data")


class Doccano:
    """{"text", "label": [[start, end, name]] or [name]}, or {"text", "entities": [{"start_offset", "end_offset", "label"}]}."""

    name = "doccano"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        if not any(isinstance(row.get(key), str) for key in _TEXTS):
            return False
        entities = row.get("entities")
        if isinstance(entities, list) and all(isinstance(e, dict) and "start_offset" in e for e in entities):
            return bool(entities) or "relations" in row
        labels = row.get("label", row.get("labels"))
        return isinstance(labels, list) and all(isinstance(item, str) or _is_triple(item) for item in labels)

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        key = next((key for key in _TEXTS if key in given.left), "text")
        text = given.take(key)
        if not text or not text.strip():
            raise BadRow("E2220", key)
        if key != "text":
            given.form["text"] = key
        said: dict[str, Any] = {"inputs": {"text": text}}
        if isinstance(given.left.get("entities"), list):
            entities = given.left.pop("entities")
            said["spans"] = tuple(_entity(entity, text) for entity in entities)
            given.form["entities"] = [_left(entity) for entity in entities]
        where = next((name for name in ("label", "labels") if isinstance(given.left.get(name), list)), None)
        if where and "spans" not in said:
            labels = given.left.pop(where)
            if where != "label":
                given.form["label"] = where
            if labels and all(isinstance(item, list) for item in labels):
                said["spans"] = tuple(_checked(item[0], item[1], item[2], text) for item in labels if _triple(item))
            else:
                if not all(isinstance(item, str) for item in labels):
                    raise BadRow("E2230", where, format=self.name, detail=f"{where} holds neither spans nor names")
                said["answers"] = ("; ".join(labels),) if labels else ()
                if len(labels) != 1:
                    given.form["names"] = len(labels)
        return given.record(**said)

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        text = _only_text(record)
        made.put(made.form.get("text", "text"), text)
        entities = made.form.get("entities")
        if entities is not None:
            left = entities if len(entities) == len(record.spans) else [{}] * len(record.spans)
            made.row["entities"] = [
                {**rest, "start_offset": span.start, "end_offset": span.end, "label": span.label}
                for rest, span in zip(left, record.spans, strict=True)
            ]
            return made.finish()
        key = made.form.get("label", "label")
        names = made.form.get("names", 1)
        if record.spans:
            made.row[key] = [[span.start, span.end, span.label] for span in record.spans]
        elif record.answer:
            parts = record.answer.split("; ")
            made.row[key] = parts if len(parts) == names else [record.answer]
        elif names == 0 or not made.own:
            made.row[key] = []
        return made.finish()


class Spans:
    """{"text", "spans": [{"start", "end", "label" or "type"}]}."""

    name = "spans"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        spans = row.get("spans")
        return (
            isinstance(row.get("text"), str)
            and isinstance(spans, list)
            and all(isinstance(s, dict) and {"start", "end"} <= set(s) and {"label", "type"} & set(s) for s in spans)
        )

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        text = given.take("text")
        if not text or not text.strip():
            raise BadRow("E2220", "text")
        found, left = [], []
        for item in given.left.pop("spans"):
            if not isinstance(item, dict):
                raise BadRow("E2230", "spans", format=self.name, detail="a span is no object")
            name = "label" if "label" in item else "type"
            span = _checked(item.get("start"), item.get("end"), item.get(name), text)
            found.append(span)
            rest = {key: value for key, value in item.items() if key not in {"start", "end", name}}
            marked = text[span.start : span.end]
            if "text" in rest and rest["text"] != marked:
                raise BadRow("E2239", "spans", text=redact(str(rest["text"]))[:50], found=redact(marked)[:50])
            # Copies of the text are made anew on writing, so that masking it leaves none behind.
            left.append({"name": name, "text": rest.pop("text", None) is not None, "left": rest})
        given.form["spans"] = left
        return given.record(inputs={"text": text}, spans=tuple(found))

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        text = _only_text(record)
        made.put("text", text)
        left = made.form.get("spans", [])
        if len(left) != len(record.spans):
            left = [{"name": "label", "text": True, "left": {}}] * len(record.spans)
        made.row["spans"] = [
            {
                "start": span.start,
                "end": span.end,
                how["name"]: span.label,
                **({"text": text[span.start : span.end]} if how["text"] else {}),
                **how["left"],
            }
            for how, span in zip(left, record.spans, strict=True)
        ]
        return made.finish()


class Cluener:
    """{"text", "label": {kind: {words: [[start, end]]}}}, the last character included."""

    name = "cluener"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        label = row.get("label")
        return (
            isinstance(row.get("text"), str)
            and isinstance(label, dict)
            and all(
                isinstance(words, dict) and all(isinstance(at, list) for at in words.values())
                for words in label.values()
            )
        )

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        text = given.take("text")
        if not text or not text.strip():
            raise BadRow("E2220", "text")
        spans = []
        label = given.left.pop("label")
        if not isinstance(label, dict):
            raise BadRow("E2230", "label", format=self.name, detail="label is no object")
        for kind, words in label.items():
            for word, places in words.items():
                for place in places:
                    if not (isinstance(place, list) and len(place) == 2 and all(type(n) is int for n in place)):
                        raise BadRow("E2230", "label", format=self.name, detail=f"{word} has no [start, end]")
                    span = _checked(place[0], place[1] + 1, kind, text)
                    if text[span.start : span.end] != word:
                        raise BadRow(
                            "E2239", "label", text=redact(word)[:50], found=redact(text[span.start : span.end])[:50]
                        )
                    spans.append(span)
        return given.record(inputs={"text": text}, spans=tuple(spans))

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        text = _only_text(record)
        made.put("text", text)
        label: dict[str, dict[str, list[list[int]]]] = {}
        for span in record.spans:
            words = label.setdefault(span.label, {})
            words.setdefault(text[span.start : span.end], []).append([span.start, span.end - 1])
        made.row["label"] = label
        return made.finish()


def _is_triple(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 3
        and type(item[0]) is int
        and type(item[1]) is int
        and isinstance(item[2], str)
    )


def _triple(item: Any) -> bool:
    if not _is_triple(item):
        raise BadRow("E2230", "label", format="doccano", detail="a span is not [start, end, name]")
    return True


def _checked(start: Any, end: Any, label: Any, text: str) -> Span:
    """A span that lies in its text. Raises BadRow E2239."""
    if (
        type(start) is not int
        or type(end) is not int
        or not isinstance(label, str)
        or not 0 <= start <= end <= len(text)
    ):
        raise BadRow("E2239", "spans", text=f"{start}-{end} {label}", found=f"{len(text)} characters")
    return Span(start=start, end=end, label=label)


def _entity(entity: Any, text: str) -> Span:
    if not isinstance(entity, dict):
        raise BadRow("E2230", "entities", format="doccano", detail="an entity is no object")
    return _checked(entity.get("start_offset"), entity.get("end_offset"), entity.get("label"), text)


def _left(entity: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entity.items() if key not in {"start_offset", "end_offset", "label"}}


def _only_text(record: Record) -> str:
    """The text that spans lie in. Raises CannotCarry where there are several, as their places would shift."""
    said: Sequence[str] = [text for text in record.inputs.values() if text]
    if not said or (record.spans and len(said) > 1):
        raise CannotCarry("several texts" if said else "no inputs")
    return "\n".join(said)
