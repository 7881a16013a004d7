"""Near copies among many texts: MinHash signatures, bands of them, and an exact look at every pair that shares a band."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.core.hashing import seed_from
from rung.data.leakage.keys import numbers_in
from rung.data.leakage.shingles import Shingles, mix, overlap, shingle, shingle_sets, sorted_set

NEAR = 0.8
"""Jaccard similarity of shingles from which one text counts as a near copy of another."""
HASHES = 128
_RECALL = 0.995
"""Chance that a pair right at the threshold shares a band; pairs above it share one more surely."""
_BLOCK = 16_384
"""Texts that are shingled at a time."""
_CACHED = 512
"""Texts whose shingles stay in a core's cache while all hashes pass over them."""
_WINDOW = 6
"""Texts of a bucket that each text is compared with on either side; a larger bucket is not squared."""
_PAIRS = 65_536
"""Pairs that are looked at exactly at a time."""

Progress = Callable[[float, float, str], None]


@dataclass(frozen=True)
class NearPairs:
    """Pairs of texts, by their places in the list that was searched: first < second, in that order."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    score: NDArray[np.float64]
    """Exact Jaccard similarity, from the threshold to 1."""

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Search:
    """What is looked for."""

    threshold: float = NEAR
    homes: NDArray[np.uint64] | None = None
    """[n]: the splits or files that hold each text, a bit each. A text is then also compared with those of every home that
    lie nearest in its bucket, so that a large bucket of one home hides no pair with another."""
    across: bool = False
    """Only pairs of different homes."""
    workers: int = 0
    """Threads; 0: as many as there are cores."""


@dataclass(frozen=True)
class _Signatures:
    bands: NDArray[np.uint32]
    """[bands, n]: a hash of each band."""
    low: NDArray[np.uint8]
    """[n, hashes]: the last byte of each minimum."""


def find_near(keys: Sequence[str], search: Search | None = None, *, progress: Progress | None = None) -> NearPairs:
    """Pairs of different keys whose shingles overlap by at least the threshold, and whose numbers are the same.

    MinHash with bands (Broder 1997, "On the resemblance and containment of documents"; Leskovec, Rajaraman and Ullman,
    "Mining of Massive Datasets", section 3.4) proposes pairs, and the exact overlap of their shingle sets decides: a
    pair that is returned is at the threshold or above, and one right there is missed once in 200 or less. In a bucket of more than
    a few texts each is compared with its neighbours only, so of a hundred copies of one text not all 4,950 pairs come
    back, but each text with some. The same keys give the same pairs on any machine and any number of workers.

    Time and memory grow with len(keys), not its square: about 400 bytes a text beside the pairs themselves.
    """
    search = search or Search()
    filled = np.array([n for n, key in enumerate(keys) if key], np.int64)
    own = [keys[n] for n in filled]
    rows_in_band = _rows_in_band(search.threshold)
    tell = progress or (lambda done, total, note: None)
    homes = None if search.homes is None else search.homes[filled]
    with ThreadPoolExecutor(search.workers or _cores()) as pool:
        signatures = _sign(own, rows_in_band, pool, tell)
        packed = _propose(signatures, search, homes, pool, tell)
        found = _verify(own, packed, search.threshold, pool, tell)
    return NearPairs(filled[found.first], filled[found.second], found.score)


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rows_in_band(threshold: float) -> int:
    """Rows a band, as many as still find a pair at the threshold: 1 - (1 - t^r)^(hashes / r) is that chance."""
    fit = [r for r in range(1, 17) if 1 - (1 - threshold**r) ** (HASHES // r) >= _RECALL]
    return max(fit, default=1)


def _sign(keys: Sequence[str], rows: int, pool: ThreadPoolExecutor, tell: Progress) -> _Signatures:
    n, bands = len(keys), HASHES // rows
    found = _Signatures(np.empty((bands, n), np.uint32), np.empty((n, HASHES), np.uint8))
    rng = np.random.default_rng(seed_from("minhash"))
    factors = rng.integers(0, 1 << 32, HASHES, np.uint32) | np.uint32(1)
    mixers = rng.integers(0, 1 << 63, rows, np.uint64) | np.uint64(1)

    def sign(start: int) -> int:
        part = shingle(keys[start : start + _BLOCK])
        minima = _minima(part, factors)
        stop = start + int(minima.shape[1])
        here = slice(start, stop)
        found.low[here] = minima.astype(np.uint8).T
        for band in range(bands):
            mixed = np.zeros(minima.shape[1], np.uint64)
            for row, mixer in zip(minima[band * rows : (band + 1) * rows], mixers, strict=True):
                mixed = (mixed ^ row) * mixer
                mixed ^= mixed >> np.uint64(29)
            found.bands[band, here] = (mixed >> np.uint64(32)).astype(np.uint32)
        return stop

    for done in pool.map(sign, range(0, n, _BLOCK)):
        tell(done, n, "signatures")
    return found


def _minima(shingles: Shingles, factors: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """[hashes, n]: for each hash the least value over a text's shingles.

    A hash is an odd factor times the mixed code, modulo 2^32: a permutation of 32-bit numbers each.
    """
    values = (mix(shingles.codes) >> np.uint64(32)).astype(np.uint32)
    n = len(shingles.starts) - 1
    found = np.empty((len(factors), n), np.uint32)
    for start in range(0, n, _CACHED):
        stop = min(n, start + _CACHED)
        low, high = shingles.starts[start], shingles.starts[stop]
        own, places = values[low:high], shingles.starts[start:stop] - low
        hashed = np.empty_like(own)
        for number, factor in enumerate(factors):
            np.multiply(own, factor, out=hashed)
            np.minimum.reduceat(hashed, places, out=found[number, start:stop])
    return found


def _propose(
    signatures: _Signatures, search: Search, homes: NDArray[np.uint64] | None, pool: ThreadPoolExecutor, tell: Progress
) -> NDArray[np.uint64]:
    """Pairs that share a band and whose signatures agree about as often as a pair at the threshold does; packed, sorted."""
    bands = len(signatures.bands)
    threshold = search.threshold
    # Four standard deviations below: one true pair in thirty thousand is lost.
    enough = math.floor(HASHES * (threshold - 4 * math.sqrt(threshold * (1 - threshold) / HASHES)))

    def propose(band: int) -> NDArray[np.uint64]:
        kept: list[NDArray[np.uint64]] = []
        # Neighbours in a bucket are those that share the next band too.
        values, following = signatures.bands[band], signatures.bands[(band + 1) % bands]
        order = np.argsort(values.astype(np.uint64) << np.uint64(32) | following, kind="stable")
        for one, other in _neighbours(values[order], None if homes is None else homes[order]):
            first, second = np.minimum(order[one], order[other]), np.maximum(order[one], order[other])
            if search.across and homes is not None:
                either = homes[first] | homes[second]
                apart = (either & (either - np.uint64(1))) != 0
                first, second = first[apart], second[apart]
            kept += [_pack(f, s) for f, s in _alike(signatures.low, first, second, enough)]
        return sorted_set(np.concatenate(kept)) if kept else np.empty(0, np.uint64)

    packed = np.empty(0, np.uint64)
    for done, found in enumerate(pool.map(propose, range(bands)), 1):
        packed = sorted_set(np.concatenate([packed, found]))
        tell(done, bands, "candidates")
    return packed


def _neighbours(
    values: NDArray[np.uint32], homes: NDArray[np.uint64] | None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Places in one order of texts, sorted by `values`, that are to be compared."""
    for distance in range(1, _WINDOW + 1):
        place = np.flatnonzero(values[distance:] == values[:-distance])
        if not len(place):
            return
        yield place, place + distance
    every = np.arange(len(values))
    begin = np.maximum.accumulate(np.where(np.concatenate([[True], values[1:] != values[:-1]]), every, 0))
    far = np.flatnonzero(every - begin > _WINDOW)
    yield begin[far], far
    if homes is None:
        return
    for bit in range(int(np.bitwise_or.reduce(homes, initial=0)).bit_length()):
        member = (homes >> np.uint64(bit) & np.uint64(1)).astype(np.bool_)
        before = np.concatenate([[-1], np.maximum.accumulate(np.where(member, every, -1))[:-1]])
        there = np.flatnonzero(before >= begin)
        yield before[there], there
        after = np.minimum.accumulate(np.where(member, every, len(every))[::-1])[::-1]
        after = np.concatenate([after[1:], [len(every)]])
        there = np.flatnonzero(after < len(every))
        there = there[values[after[there]] == values[there]]
        yield there, after[there]


def _alike(
    low: NDArray[np.uint8], first: NDArray[np.int64], second: NDArray[np.int64], enough: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for start in range(0, len(first), _PAIRS):
        f, s = first[start : start + _PAIRS], second[start : start + _PAIRS]
        same = np.count_nonzero(low[f] == low[s], axis=1) >= enough
        yield f[same], s[same]


def _pack(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.uint64]:
    return first.astype(np.uint64) << np.uint64(32) | second.astype(np.uint64)


def _verify(
    keys: Sequence[str], packed: NDArray[np.uint64], threshold: float, pool: ThreadPoolExecutor, tell: Progress
) -> NearPairs:
    """The proposed pairs whose shingle sets overlap enough and whose numbers are the same."""
    first, second = _unpack(packed)
    texts = np.flatnonzero(np.bincount(np.concatenate([first, second]), minlength=len(keys)))
    own = [keys[n] for n in texts.tolist()]
    sets = shingle_sets(own)
    known: dict[tuple[str, ...], int] = {}
    numbers = np.array([known.setdefault(numbers_in(key), len(known)) for key in own], np.int64)

    def verify(start: int) -> NearPairs:
        first, second = _unpack(packed[start : start + _PAIRS])
        one, other = np.searchsorted(texts, first), np.searchsorted(texts, second)
        score = overlap(sets, one, other)
        # 8 of 10 must not fall below 0.8 by rounding.
        kept = (score >= threshold - 1e-12) & (numbers[one] == numbers[other])
        return NearPairs(first[kept], second[kept], score[kept])

    parts = [NearPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for part in pool.map(verify, range(0, len(packed), _PAIRS)):
        parts.append(part)
        tell(min(len(packed), (len(parts) - 1) * _PAIRS), len(packed), "pairs")
    return NearPairs(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("first", "second", "score"))
    )


def _unpack(packed: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return (packed >> np.uint64(32)).astype(np.int64), (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
