"""Two sequences of tokens laid side by side: the longest common subsequence, and which tokens match in which order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass


def common_length(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, by one addition of whole rows per token of `b` (Hyyrö 2004, "Bit-parallel
    LCS-length computation revisited", figure 2): thousands of tokens take milliseconds."""
    places: dict[str, int] = defaultdict(int)
    for i, token in enumerate(a):
        places[token] |= 1 << i
    every = (1 << len(a)) - 1
    row = every
    for token in b:
        if found := row & places.get(token, 0):
            row = ((row + found) | (row - found)) & every
    return len(a) - row.bit_count()


@dataclass(frozen=True, slots=True)
class Alignment:
    """How two sequences match, each token at most once."""

    matches: int
    runs: int
    """Stretches that are contiguous, and in the same order, on both sides."""


def align(a: Sequence[str], b: Sequence[str]) -> Alignment:
    """As many matches as there are, in few runs: from left to right, each token of `a` begins the longest run that is
    still free in `b`. Greedy: another choice can now and then need fewer runs, never find more matches."""
    places: dict[str, list[int]] = defaultdict(list)
    for j, token in enumerate(b):
        places[token].append(j)
    free = [True] * len(b)
    at = matches = runs = 0
    while at < len(a):
        start, length = 0, 0
        for j in places.get(a[at], ()):
            found = _run(a, b, free, at, j)
            if found > length:
                start, length = j, found
            if length == len(a) - at:
                break
        free[start : start + length] = [False] * length
        matches, runs, at = matches + length, runs + bool(length), at + max(1, length)
    return Alignment(matches, runs)


def _run(a: Sequence[str], b: Sequence[str], free: Sequence[bool], i: int, j: int) -> int:
    """How many tokens from a[i] equal those from b[j] that are free."""
    most = min(len(a) - i, len(b) - j)
    return next((k for k in range(most) if not free[j + k] or a[i + k] != b[j + k]), most)
