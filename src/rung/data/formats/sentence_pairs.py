"""sentence-transformers and FlagEmbedding: anchors with positives and negatives, and pairs of sentences with a score."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from rung.data.formats.codec import CannotCarry
from rung.data.formats.row import Given, Made, plain
from rung.data.record import Record
from rung.data.rejects import BadRow

_NUMBERED = re.compile(r"(positive|negative)(_\d+)?")
_ANCHORS = ("anchor", "query")


class Triplets:
    """{"anchor" or "query", "positive", "negative", "negative_1", ...}: texts, or lists of them."""

    name = "sentence-transformers"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        return any(isinstance(row.get(key), str) for key in _ANCHORS) and "positive" in row

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        anchor = next((key for key in _ANCHORS if key in given.left), "anchor")
        text = given.take(anchor)
        if not text or not text.strip():
            raise BadRow("E2220", anchor)
        found: dict[str, list[str]] = {"positive": [], "negative": []}
        places: dict[str, Any] = {}
        for key in [key for key in given.left if _NUMBERED.fullmatch(key)]:
            value = given.left[key]
            texts = value if isinstance(value, list) else [value]
            if not all(isinstance(item, str) and item for item in texts):
                if value in (None, "", []):
                    continue
                raise BadRow("E2230", key, format=self.name, detail=f"{key} holds more than texts")
            del given.left[key]
            side = found[key.partition("_")[0]]
            places[key] = [len(side), len(texts)] if isinstance(value, list) else len(side)
            side += [plain(item, key) for item in texts]
        if places != _usual(len(found["positive"]), len(found["negative"])):
            given.form["places"] = places
        return given.record(
            inputs={anchor: text}, positives=tuple(found["positive"]), negatives=tuple(found["negative"])
        )

    def encode(self, record: Record) -> dict[str, Any]:
        if not (record.positives or record.answers):
            raise CannotCarry("no positives")
        made = Made(record, self.name)
        anchor = next((key for key in _ANCHORS if key in record.inputs), "anchor")
        made.put(anchor, record.question)
        sides = {"positive": record.positives or record.answers[:1], "negative": record.negatives or record.rejected}
        places = made.form.get("places", {})
        if not _fills(places, {name: len(texts) for name, texts in sides.items()}):
            places = _usual(len(sides["positive"]), len(sides["negative"]))
        for key, place in places.items():
            texts = sides[key.partition("_")[0]]
            made.row[key] = list(texts[place[0] : place[0] + place[1]]) if isinstance(place, list) else texts[place]
        return made.finish()


def _usual(positives: int, negatives: int) -> dict[str, Any]:
    """Where texts stand by default: one as itself, several as positive, positive_1, ..."""
    return {
        f"{side}_{n}" if n else side: n
        for side, count in (("positive", positives), ("negative", negatives))
        for n in range(count)
    }


def _fills(places: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """Whether the places of a row still hold each of its texts."""
    taken = {"positive": 0, "negative": 0}
    for key, place in places.items():
        taken[key.partition("_")[0]] += place[1] if isinstance(place, list) else 1
    return bool(places) and taken == dict(counts)


class Bge:
    """FlagEmbedding: {"query", "pos": [...], "neg": [...], "prompt", "pos_scores", ...}."""

    name = "bge"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        return isinstance(row.get("query"), str) and isinstance(row.get("pos"), list)

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        text = given.take("query")
        if not text or not text.strip():
            raise BadRow("E2220", "query")
        sides = {}
        for slot, key in (("positives", "pos"), ("negatives", "neg")):
            items = given.items(key) or []
            if not all(isinstance(item, str) for item in items):
                raise BadRow("E2230", key, format=self.name, detail=f"{key} holds more than texts")
            sides[slot] = tuple(plain(item, key) for item in items)
        return given.record(inputs={"query": text}, **sides)

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        if not (record.positives or record.answers or made.own):
            raise CannotCarry("no positives")
        made.put("query", record.question)
        made.put_items("pos", list(record.positives or (() if made.own else record.answers[:1])))
        made.put_items("neg", list(record.negatives or (() if made.own else record.rejected)))
        return made.finish()


class Pairs:
    """{"sentence1", "sentence2", "score" or "label"}."""

    name = "sentence-pairs"
    suffix = ".jsonl"

    def fits(self, row: Mapping[str, Any]) -> bool:
        texts = all(isinstance(row.get(key), str) for key in ("sentence1", "sentence2"))
        return texts and any(isinstance(row.get(key), str | int | float) for key in ("score", "label"))

    def decode(self, row: Mapping[str, Any]) -> Record:
        given = Given(row, self.name)
        inputs = {key: given.take(key) or "" for key in ("sentence1", "sentence2")}
        if not any(text.strip() for text in inputs.values()):
            raise BadRow("E2220", "sentence1, sentence2")
        key = "score" if "score" in given.left else "label"
        answer = given.text(key)
        if key == "label":
            given.form["answer"] = key
        return given.record(inputs=inputs, answers=(answer,) if answer else ())

    def encode(self, record: Record) -> dict[str, Any]:
        made = Made(record, self.name)
        texts = list(record.inputs.values())
        if len(texts) == 1 and record.positives:
            texts.append(record.positives[0])
        if len(texts) != 2:
            raise CannotCarry("no pair")
        for key, text in zip(("sentence1", "sentence2"), texts, strict=True):
            made.put(key, text)
        key = made.form.get("answer", "score")
        made.put(key, record.answer or None)
        if not made.own and isinstance(made.row.get(key), str):
            made.row[key] = _number(made.row[key])
        return made.finish()


def _number(text: str) -> Any:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text
