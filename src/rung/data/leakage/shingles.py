"""Texts as sets of shingles: short runs of characters, each one exact 64-bit number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from rung.text.script import CJK

_RANGE = re.compile(r"(.)-(.)|(.)", re.DOTALL)
_PAIR = np.uint64(1 << 63)
_WHOLE = np.uint64(3 << 62)
_TEXTS = 16_384
"""Texts, or pairs of them, that are looked at together ..."""
_BITS = 47
"""... so that a place among them and a shingle's code fit into one word, and are sorted at once."""


@dataclass(frozen=True)
class Shingles:
    """The shingles of n texts, one text after the other."""

    codes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    """[n + 1]: text i has codes[starts[i]:starts[i + 1]]."""

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        return np.diff(self.starts)


def shingle(keys: Sequence[str]) -> Shingles:
    """Every run of two characters that holds a Chinese one, and every run of three that begins with two others.

    A Chinese character says about as much as a syllable or a word, so two of them tell texts apart as well as three
    letters do; the rule looks at the characters alone, so that texts in both scripts need no case of their own. A text
    too short for any run is one shingle; '' has none. Runs may repeat. A code holds its characters (21 bits each), so
    that no two runs share one.
    """
    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    chars = np.frombuffer("".join(keys).encode("utf-32-le", "surrogatepass"), np.uint32)
    row = np.repeat(np.arange(len(keys)), lengths)
    left = np.cumsum(lengths)[row] - np.arange(len(chars))
    wide = _wide()[chars]
    ahead = [np.concatenate([chars[n:], np.zeros(n, np.uint32)])[: len(chars)].astype(np.uint64) for n in range(3)]
    pair = (wide | np.concatenate([wide[1:], [False]])[: len(chars)]) & (left >= 2)
    two = ahead[0] << np.uint64(21) | ahead[1]
    codes = np.where(pair, two | _PAIR, two << np.uint64(21) | ahead[2])
    kept = pair | (left >= 3)
    first = left == lengths[row]
    short = first & ~kept & (left <= 2)
    codes[short] = np.where(left[short] == 2, two[short], ahead[0][short] << np.uint64(21)) | _WHOLE
    kept |= short
    starts = np.zeros(len(keys) + 1, np.int64)
    np.cumsum(np.bincount(row[kept], minlength=len(keys)), out=starts[1:])
    return Shingles(codes[kept], starts)


def mix(codes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each code as 64 bits that look random; different codes stay different."""
    mixed = codes * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    return mixed


def shingle_sets(keys: Sequence[str]) -> Shingles:
    """The set of shingles of every text, each once; codes are 47 bits of the mixed ones, in order within a text.

    Of two texts with 60 shingles each, two that differ fall together once in 10^10 pairs.
    """
    parts = [_sets(shingle(keys[start : start + _TEXTS])) for start in range(0, len(keys), _TEXTS)]
    sizes = np.concatenate([np.zeros(1, np.int64), *(part.counts for part in parts)])
    return Shingles(np.concatenate([np.empty(0, np.uint64), *(part.codes for part in parts)]), np.cumsum(sizes))


def _sets(shingles: Shingles) -> Shingles:
    numbers = np.arange(len(shingles.starts), dtype=np.uint64) << np.uint64(_BITS)
    text = np.repeat(numbers[:-1], shingles.counts)
    members = sorted_set(text | mix(shingles.codes) >> np.uint64(64 - _BITS))
    return Shingles(members & np.uint64((1 << _BITS) - 1), np.searchsorted(members, numbers))


def overlap(sets: Shingles, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """float [m]: the Jaccard similarity of text first[i] and text second[i], |A and B| / |A or B| over sets of shingles.

    The sets are compared, not sketches of them. Two texts without shingles have 0.
    """
    found = np.empty(len(first))
    for start in range(0, len(first), _TEXTS):
        part = slice(start, start + _TEXTS)
        one, other = _gather(sets, first[part]), _gather(sets, second[part])
        merged = np.sort(np.concatenate([one, other]))
        twice = merged[1:][merged[1:] == merged[:-1]] >> np.uint64(_BITS)
        shared = np.bincount(twice.astype(np.int64), minlength=len(first[part]))
        either = sets.counts[first[part]] + sets.counts[second[part]] - shared
        found[part] = shared / np.maximum(either, 1)
    return found


def _gather(sets: Shingles, which: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The sets of texts `which`, one after the other, each member with the place of its set above its own bits."""
    sizes = sets.counts[which]
    ends = np.cumsum(sizes)
    places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(sets.starts[which] - (ends - sizes), sizes)
    numbers = np.arange(len(which), dtype=np.uint64) << np.uint64(_BITS)
    members: NDArray[np.uint64] = sets.codes[places] | np.repeat(numbers, sizes)
    return members


def sorted_set(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The values in order, each once; by sorting, which is several times faster here than `np.unique`."""
    ordered = np.sort(values)
    first: NDArray[np.bool_] = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]
    return ordered[first]


@cache
def _wide() -> NDArray[np.bool_]:
    """Whether a code point is a Chinese (or other CJK) character."""
    table = np.zeros(0x110000, np.bool_)
    for low, high, alone in _RANGE.findall(CJK):
        table[ord(low or alone) : ord(high or alone) + 1] = True
    return table
