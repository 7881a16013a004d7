"""Which documents the segments of a knowledge base hold, and what makes one differ from what was held before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Item
from rung.core.hashing import hash_json
from rung.core.task import Document
from rung.retrieval.chunk import chunk_documents
from rung.retrieval.population import Part
from rung.retrieval.segment import document_of


@dataclass(frozen=True)
class Coming:
    """A document on its way in: the hash of all that its passages depend on, and how they are made."""

    digest: int
    cut: Callable[[], Sequence[Item]]


def coming_documents(documents: Iterable[Document], recipe: Mapping[str, int]) -> dict[str, Coming]:
    """By id, documents that are cut by a recipe: chunk_words, chunk_overlap."""
    found = {}
    for document in documents:
        marks = [[mark.start, mark.label] for mark in document.marks]
        said = [document.title, document.text, marks, sorted(document.access), dict(document.metadata), dict(recipe)]
        found[document.id] = Coming(_digest(said), partial(chunk_documents, [document], *recipe.values()))
    return found


def coming_items(items: Iterable[Item]) -> dict[str, Coming]:
    """The same where the items are given; one that is no document's passage stands for itself."""
    by_document: dict[str, list[Item]] = {}
    for item in items:
        by_document.setdefault(document_of(item), []).append(item)
    return {
        name: Coming(_digest([[item.id, item.text, dict(item.payload)] for item in own]), partial(list, own))
        for name, own in by_document.items()
    }


@dataclass(frozen=True)
class Difference:
    """What an update changes, by what is held."""

    items: list[Item]
    """Of new and changed documents."""
    digests: dict[str, int]
    """Of these documents."""
    added: int
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    """Deleted, and those that have lost their text: they are not in the base any more."""
    blank: tuple[str, ...]
    unchanged: int

    @property
    def counts(self) -> dict[str, int]:
        return {"added": self.added, "changed": len(self.changed), "deleted": len(self.gone)}

    @property
    def replaced(self) -> list[str]:
        """Documents whose items count no more."""
        return [*self.gone, *self.changed]


def difference(coming: Mapping[str, Coming], held: Mapping[str, int], others: Iterable[str]) -> Difference:
    """`held`: digests of the coming documents that are there; `others`: documents that are to go."""
    fresh = [name for name, one in coming.items() if held.get(name) != one.digest]
    cut = {name: list(coming[name].cut()) for name in fresh}
    full = [name for name in fresh if cut[name]]
    blank = tuple(name for name in fresh if not cut[name])
    changed = tuple(name for name in full if name in held)
    return Difference(
        items=[item for items in cut.values() for item in items],
        digests={name: coming[name].digest for name in full},
        added=len(full) - len(changed),
        changed=changed,
        gone=(*others, *(name for name in blank if name in held)),
        blank=blank,
        unchanged=len(coming) - len(fresh),
    )


def _digest(said: Sequence[object]) -> int:
    """64 bits; never 0, which says that nothing is known."""
    return int(hash_json(said), 16) or 1


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
