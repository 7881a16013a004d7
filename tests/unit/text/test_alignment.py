"""The longest common subsequence, and matching with runs."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.text.alignment import Alignment, align, common_length

SEQUENCES = st.text("abc", max_size=12)


def by_definition(a: str, b: str) -> int:
    @cache
    def longest(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return 0
        if a[i] == b[j]:
            return 1 + longest(i + 1, j + 1)
        return max(longest(i + 1, j), longest(i, j + 1))

    return longest(0, 0)


@given(SEQUENCES, SEQUENCES)
def test_common_length_is_that_of_the_definition(a: str, b: str) -> None:
    assert common_length(a, b) == by_definition(a, b)


@given(SEQUENCES, SEQUENCES)
def test_alignment_misses_no_match(a: str, b: str) -> None:
    found = align(a, b)
    assert found.matches == (Counter(a) & Counter(b)).total()
    assert min(1, found.matches) <= found.runs <= found.matches


@pytest.mark.parametrize(
    ("a", "b", "matches", "runs"),
    [
        ("abcd", "abcd", 4, 1),
        ("abcd", "cdab", 4, 2),
        ("abcd", "dcba", 4, 4),
        ("axb", "ab", 2, 2),
        ("ab", "xaxab", 2, 1),
        ("aab", "ab", 2, 2),
        ("", "ab", 0, 0),
    ],
)
def test_runs(a: str, b: str, matches: int, runs: int) -> None:
    assert align(a, b) == Alignment(matches, runs)


def test_long_texts_take_no_time() -> None:
    a, b = ["的", "租", "金"] * 2000, ["租", "的"] * 2000
    assert common_length(a, b) == 3999
    assert align(["的"] * 3000, ["的"] * 3000) == Alignment(3000, 1)
