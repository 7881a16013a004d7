"""What a caller searches: the living items that the caller may see, and BM25's statistics over exactly those."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Where
from rung.retrieval.best_terms import Asked, Found, Mask, best_by_terms
from rung.retrieval.lexical import idf
from rung.retrieval.postings import mean_length, norms
from rung.retrieval.segment import Segment
from rung.text.tokens import search_tokens

_KEPT = 32
"""Callers, and filters, that are remembered."""
_TERMS = 200_000
"""Terms whose count is remembered for one caller."""
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Part:
    """A segment, and which of its items count; None: all of them."""

    segment: Segment
    living: Mask | None = None

    @cached_property
    def size(self) -> int:
        return self.segment.size if self.living is None else int(np.count_nonzero(self.living))


def both(one: Mask | None, other: Mask | None) -> Mask | None:
    """What two masks allow together; None allows everything."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


@dataclass(frozen=True)
class Population:
    """Items in which terms are counted. A search of it tells nothing of what lies outside, not even by its scores."""

    parts: tuple[Part, ...]
    _held: dict[str, int] = field(default_factory=dict)

    @cached_property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    @cached_property
    def average(self) -> float:
        """Mean length of an item, in terms."""
        total = 0
        for part in self.parts:
            lengths = part.segment.postings.lengths
            total += int((lengths if part.living is None else lengths[part.living]).sum(dtype=np.int64))
        return mean_length(total, self.size)

    @cached_property
    def norm(self) -> NDArray[np.float64]:
        """BM25's norm for every length in terms."""
        longest = max((int(part.segment.postings.lengths.max(initial=0)) for part in self.parts), default=0)
        return norms(self.average, longest)

    def best_by_terms(self, query: str, k: int, filters: Sequence[Mask | None]) -> list[Found]:
        """For every part the k best items at least, where that many are among the k best of all. `filters`: one a part."""
        asked = Counter(search_tokens(query))
        terms = list(asked)
        rows = [part.segment.postings.lookup.find(terms, part.segment.postings.terms) for part in self.parts]
        held = [self._count(term, [of_part[n] for of_part in rows]) for n, term in enumerate(terms)]
        found = [Found(np.zeros(0, np.int64), np.zeros(0))] * len(self.parts)
        least, best = 0.0, np.zeros(0)
        weights = idf(self.size, np.array(held, np.int64)) * np.array(list(asked.values()))
        # The largest part first: what it finds spares the others most of their work.
        for p in sorted(range(len(self.parts)), key=lambda p: -self.parts[p].size):
            segment, postings = self.parts[p].segment, self.parts[p].segment.postings
            # Where texts are longer on the average than in the segment alone, weights are higher than its bounds.
            rise = max(1.0, self.average / postings.average)
            wanted = [
                Asked(row, float(weight), float(weight) * min(1.0, float(postings.bounds[row]) * rise))
                for row, weight, count in zip(rows[p], weights, held, strict=True)
                if row >= 0 and count
            ]
            if not wanted:
                continue
            found[p] = best_by_terms(
                postings,
                wanted,
                k,
                norm=self.norm,
                allowed=both(self.parts[p].living, filters[p]),
                least=least,
                workspace=segment.workspace,
            )
            best = np.sort(np.concatenate([best, found[p].scores]))[-k:]
            least = float(best[0]) if best.size == k else 0.0
        return found

    def _count(self, term: str, rows: Sequence[int]) -> int:
        """Items that hold a term, counted once."""
        known = self._held.get(term)
        if known is None:
            known = sum(_holding(part, row) for part, row in zip(self.parts, rows, strict=True) if row >= 0)
            if len(self._held) >= _TERMS:
                self._held.clear()
            self._held[term] = known
        return known


def _holding(part: Part, row: int) -> int:
    docs, _ = part.segment.postings.list_of(row)
    return docs.size if part.living is None else int(np.count_nonzero(part.living[docs]))


class Callers:
    """The populations and filters of an index, made when they are first asked for; the latest are kept."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)
        self._whole = Population(self._parts)
        self._populations: OrderedDict[frozenset[str], Population] = OrderedDict()
        self._filters: OrderedDict[tuple[tuple[str, tuple[str, ...]], ...], list[Mask | None]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, labels: frozenset[str] | None) -> Population:
        """What a caller with these labels searches; None: one who may see everything."""
        if labels is None:
            return self._whole
        return self._kept(self._populations, labels, lambda: self._seen_by(labels))

    def _seen_by(self, labels: frozenset[str]) -> Population:
        masks = [part.segment.marks.seen_by(labels) for part in self._parts]
        if all(mask is None for mask in masks):
            return self._whole
        return Population(
            tuple(Part(part.segment, both(part.living, mask)) for part, mask in zip(self._parts, masks, strict=True))
        )

    def filters(self, where: Where | None) -> list[Mask | None]:
        """For every part, which items have the metadata asked for."""
        if not where:
            return [None] * len(self._parts)
        plain = {key: (named,) if isinstance(named, str) else tuple(named) for key, named in where.items()}
        made = tuple(sorted((key, tuple(sorted(set(named)))) for key, named in plain.items()))
        return self._kept(self._filters, made, lambda: [part.segment.marks.where(plain) for part in self._parts])

    def _kept(self, shelf: OrderedDict[Key, Value], key: Key, make: Callable[[], Value]) -> Value:
        with self._lock:
            if key in shelf:
                shelf.move_to_end(key)
            else:
                shelf[key] = make()
                if len(shelf) > _KEPT:
                    shelf.popitem(last=False)
            return shelf[key]
