"""Which documents the segments of a knowledge base hold, and what makes one differ from what was held before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Item
from rung.core.hashing import hash_json
from rung.core.task import Document
from rung.retrieval.population import Part
from rung.retrieval.segment import document_of


def digest_of(document: Document, recipe: Mapping[str, int]) -> int:
    """64 bits of all that a document's passages depend on; never 0, which says that nothing is known."""
    marks = [[mark.start, mark.label] for mark in document.marks]
    return _digest(
        [document.title, document.text, marks, sorted(document.access), dict(document.metadata), dict(recipe)]
    )


def digest_of_items(items: Sequence[Item]) -> int:
    """The same of a document that is given as its items."""
    return _digest([[item.id, item.text, dict(item.payload)] for item in items])


def _digest(said: list[object]) -> int:
    return int(hash_json(said), 16) or 1


def items_by_document(items: Iterable[Item]) -> dict[str, list[Item]]:
    """The items of each document; an item that is no document's passage stands for itself."""
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(document_of(item), []).append(item)
    return found


def living_documents(part: Part) -> NDArray[np.int32]:
    """The document of every item that counts."""
    codes = part.segment.document
    return codes if part.living is None else codes[part.living]


def digests_held(parts: Sequence[Part], names: Sequence[str]) -> dict[str, int]:
    """Of these documents those that the parts hold, with their digests."""
    found = {}
    for part in parts:
        alive = np.zeros(len(part.segment.documents), np.bool_)
        alive[living_documents(part)] = True
        for name, code in zip(names, part.segment.find_documents(names), strict=True):
            if code >= 0 and alive[code]:
                found[name] = int(part.segment.digests[code])
    return found


def documents_of(parts: Sequence[Part]) -> list[str]:
    """Every document that the parts hold."""
    return [part.segment.documents[code] for part in parts for code in np.unique(living_documents(part)).tolist()]


def without(parts: Sequence[Part], names: Sequence[str]) -> list[Part]:
    """The parts with some documents' items not counting."""
    left = []
    for part in parts:
        codes = [code for code in part.segment.find_documents(names) if code >= 0]
        if codes:
            dead = np.zeros(len(part.segment.documents), np.bool_)
            dead[codes] = True
            kept = ~dead[part.segment.document]
            part = Part(part.segment, kept if part.living is None else part.living & kept)
        left.append(part)
    return left
