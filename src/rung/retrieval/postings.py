"""Posting lists: for every term the texts that hold it and how often; built from texts, or put together from other lists."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.retrieval.arrays import Arrays
from rung.retrieval.names import Lookup, Strings
from rung.text.tokens import search_tokens

K1, B = 1.5, 0.75
_BLOCK = 16_384
"""Texts that are counted at once."""
_SLICE = 1 << 22
"""Postings that are weighed at once."""
Counts = NDArray[Any]
"""uint8, uint16 or uint32: the narrowest that holds the largest count."""


@dataclass(frozen=True)
class Postings:
    """Term t stands in the texts `docs[starts[t]:starts[t + 1]]`, ascending, as often as `counts` says at the same places.

    `lengths`: terms of every text. `bounds`: the largest weight tf / (tf + norm) that each term has in any text, at the
    average length of these texts.
    """

    terms: Strings
    lookup: Lookup
    starts: NDArray[np.int64]
    docs: NDArray[np.int32]
    counts: Counts
    lengths: NDArray[np.int32]
    bounds: NDArray[np.float32]

    @cached_property
    def average(self) -> float:
        """Mean length, that `bounds` go by."""
        return mean_length(int(self.lengths.sum(dtype=np.int64)), self.lengths.size)

    def list_of(self, row: int) -> tuple[NDArray[np.int32], Counts]:
        """The texts that hold a term, and how often each does."""
        a, b = self.starts[row], self.starts[row + 1]
        return self.docs[a:b], self.counts[a:b]

    def arrays(self) -> Arrays:
        """As they are kept."""
        own: Arrays = {name: getattr(self, name) for name in ("starts", "docs", "counts", "lengths", "bounds")}
        return {**own, **self.terms.arrays("terms"), **self.lookup.arrays("terms")}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Postings:
        own = {name: arrays[name] for name in ("starts", "docs", "counts", "lengths", "bounds")}
        return cls(Strings.from_arrays(arrays, "terms"), Lookup.from_arrays(arrays, "terms"), **own)


def mean_length(total: int, texts: int) -> float:
    """Average length of a text; never 0, so that texts without terms do no harm."""
    return max(total / texts, 1e-9) if texts else 1.0


def norms(average: float, longest: int) -> NDArray[np.float64]:
    """float64 [longest + 1]: BM25's k1 (1 - b + b length / average) for every length in terms."""
    return K1 * (1 - B + B * np.arange(longest + 1, dtype=np.float64) / average)


@dataclass(frozen=True)
class _Block:
    """Postings of some texts, by term and text."""

    rows: NDArray[np.int32]
    docs: NDArray[np.int32]
    counts: NDArray[np.int32]


def build_postings(texts: Sequence[str]) -> Postings:
    """Postings of texts, over `rung.text.tokens.search_tokens`."""
    rows: dict[str, int] = {}
    lengths = np.zeros(len(texts), np.int32)
    blocks = []
    for start in range(0, len(texts), _BLOCK):
        coded = array("i")
        for n, text in enumerate(texts[start : start + _BLOCK], start):
            terms = search_tokens(text)
            coded.extend([rows.setdefault(term, len(rows)) for term in terms])
            lengths[n] = len(terms)
        docs = np.repeat(np.arange(start, start + _BLOCK)[: len(texts) - start], lengths[start : start + _BLOCK])
        keys, counts = np.unique(np.frombuffer(coded, np.int32).astype(np.int64) << 32 | docs, return_counts=True)
        blocks.append(_Block((keys >> 32).astype(np.int32), keys.astype(np.int32), counts.astype(np.int32)))
    return _placed(rows, blocks, lengths)


def merge_postings(parts: Sequence[Postings], places: Sequence[NDArray[np.int32]], texts: int) -> Postings:
    """Postings of texts that other postings hold: text n of part p becomes text `places[p][n]`, or is left out where it is -1."""
    rows: dict[str, int] = {}
    lengths = np.zeros(texts, np.int32)
    blocks = []
    for part, place in zip(parts, places, strict=True):
        coded = np.fromiter((rows.setdefault(term, len(rows)) for term in part.terms), np.int32, len(part.terms))
        docs = place[part.docs]
        kept = docs >= 0
        found = np.repeat(coded, np.diff(part.starts))[kept]
        blocks.append(_Block(found, docs[kept], part.counts[kept].astype(np.int32)))
        lengths[place[place >= 0]] = part.lengths[place >= 0]
    rows_of = np.concatenate([block.rows for block in blocks])
    docs = np.concatenate([block.docs for block in blocks])
    counts = np.concatenate([block.counts for block in blocks])
    order = np.argsort(rows_of.astype(np.int64) << 32 | docs, kind="stable")
    return _placed(rows, [_Block(rows_of[order], docs[order], counts[order])], lengths)


def _placed(rows: dict[str, int], blocks: Sequence[_Block], lengths: NDArray[np.int32]) -> Postings:
    """Blocks in the order of their texts, put together term by term; terms that no text holds any more are left out."""
    sizes = np.zeros(len(rows), np.int64)
    for block in blocks:
        sizes += np.bincount(block.rows, minlength=len(rows))
    # By the hash of the term: the same order whatever the texts were met in.
    living = np.flatnonzero(sizes)
    names = np.array(list(rows), object)[living]
    lookup = Lookup.of(names)
    order = living[lookup.places]
    strings = Strings.of(names[lookup.places])
    starts = np.zeros(order.size + 1, np.int64)
    np.cumsum(sizes[order], out=starts[1:])
    free = np.zeros(len(rows), np.int64)
    free[order] = starts[:-1]
    docs = np.zeros(starts[-1], np.int32)
    most = max((int(block.counts.max(initial=0)) for block in blocks), default=0)
    counts = np.zeros(starts[-1], np.min_scalar_type(most))
    for block in blocks:
        firsts = np.flatnonzero(np.diff(block.rows, prepend=-1))
        runs = np.diff(firsts, append=block.rows.size)
        at = np.arange(block.rows.size) + np.repeat(free[block.rows[firsts]] - firsts, runs)
        docs[at], counts[at] = block.docs, block.counts
        free[block.rows[firsts]] += runs
    own = Lookup(lookup.hashes, np.arange(order.size, dtype=np.int32))
    return Postings(strings, own, starts, docs, counts, lengths, _bounds(starts, docs, counts, lengths))


def _bounds(
    starts: NDArray[np.int64], docs: NDArray[np.int32], counts: Counts, lengths: NDArray[np.int32]
) -> NDArray[np.float32]:
    average = mean_length(int(lengths.sum(dtype=np.int64)), lengths.size)
    norm = norms(average, int(lengths.max(initial=0)))
    bounds = np.zeros(starts.size - 1, np.float32)
    for first, last in _slices(starts):
        a, b = starts[first], starts[last]
        weights = counts[a:b] / (counts[a:b] + norm[lengths[docs[a:b]]])
        # A little above, so that rounding never makes a bound too low.
        bounds[first:last] = np.maximum.reduceat(weights, starts[first:last] - a) * (1 + 1e-6)
    return bounds


def _slices(starts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Terms in pieces of about the same number of postings."""
    first = 0
    while first < starts.size - 1:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _SLICE, "right")) - 1)
        yield first, last
        first = last
