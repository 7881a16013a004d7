"""What two texts share at their beginning and at their end: between them lies the difference."""

from __future__ import annotations

from typing import NamedTuple


class Ends(NamedTuple):
    """Characters that are the same at either end; together never more than the shorter text has."""

    head: int
    tail: int


def common_ends(a: str, b: str) -> Ends:
    """The longest common beginning, and the longest common end of what is left."""
    head = _common(a, b)
    return Ends(head, _common(a[head:][::-1], b[head:][::-1]))


def _common(a: str, b: str) -> int:
    """Length of the common beginning, by halving: comparing slices is quicker than comparing characters."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
