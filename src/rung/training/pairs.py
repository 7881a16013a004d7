"""Pairs of texts that belong together, what must not be held against them, and the questions that measure an encoder on dev."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.durable import write_text


@dataclass(frozen=True)
class Negative:
    """A text that does not belong to a pair's anchor, though it looks as if it did."""

    text: str
    families: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """Two texts that belong together.

    `families` name what a text is about: a label, a document, a group of questions. Texts that share one are never held against
    each other.
    """

    id: str
    anchor: str
    positive: str
    negatives: tuple[Negative, ...] = ()
    families: tuple[str, ...] = ()


@dataclass(frozen=True)
class Query:
    """A question with the names of the texts that belong to it."""

    text: str
    wanted: tuple[str, ...]


@dataclass(frozen=True)
class DevSet:
    """Questions, and texts to be found by name; of several texts with one name the mean vector is found."""

    queries: tuple[Query, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    """(name, text)"""
    pairs: tuple[Pair, ...] = ()
    """What the loss on dev is taken of."""


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """One JSON object a line."""
    write_text(path, "".join(json.dumps(_record(pair), ensure_ascii=False) + "\n" for pair in pairs))


def read_pairs(path: Path) -> list[Pair]:
    return [_pair(json.loads(line)) for line in _text(path).split("\n") if line]


def write_dev(path: Path, dev: DevSet) -> None:
    record = {
        "queries": [[query.text, query.wanted] for query in dev.queries],
        "texts": dev.texts,
        "pairs": [_record(pair) for pair in dev.pairs],
    }
    write_text(path, json.dumps(record, ensure_ascii=False) + "\n")


def read_dev(path: Path) -> DevSet:
    record = json.loads(_text(path))
    return DevSet(
        tuple(Query(text, tuple(wanted)) for text, wanted in record["queries"]),
        tuple((name, text) for name, text in record["texts"]),
        tuple(_pair(line) for line in record["pairs"]),
    )


def _record(pair: Pair) -> dict[str, Any]:
    return {
        "id": pair.id,
        "anchor": pair.anchor,
        "positive": pair.positive,
        "negatives": [[negative.text, negative.families] for negative in pair.negatives],
        "families": pair.families,
    }


def _pair(record: dict[str, Any]) -> Pair:
    negatives = tuple(Negative(text, tuple(families)) for text, families in record["negatives"])
    return Pair(record["id"], record["anchor"], record["positive"], negatives, tuple(record["families"]))


def _text(path: Path) -> str:
    # Half of a surrogate pair, as broken files hold it, is written and read as it stands.
    return path.read_bytes().decode("utf-8", "surrogatepass")
