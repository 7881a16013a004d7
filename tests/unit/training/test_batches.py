"""Batches: every row once an epoch, in an order that seed and epoch fix, and no more tokens at once than allowed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.training.batches import SORT_SPAN, TokenRow, epoch_batches, padded
from rung.training.objective import split

LENGTHS = np.random.default_rng(0).integers(1, 400, 531).tolist()


@given(lengths=st.lists(st.integers(1, 900), max_size=300), size=st.integers(1, 40), epoch=st.integers(0, 5))
def test_every_row_comes_once_an_epoch(lengths: list[int], size: int, epoch: int) -> None:
    batches = epoch_batches(lengths, size, seed=3, epoch=epoch)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in batches)
    assert len(batches) == -(-len(lengths) // size)


def test_seed_and_epoch_fix_the_order_and_change_it() -> None:
    first = epoch_batches(LENGTHS, 8, seed=1, epoch=0)
    assert epoch_batches(LENGTHS, 8, seed=1, epoch=0) == first
    assert epoch_batches(LENGTHS, 8, seed=1, epoch=1) != first
    assert epoch_batches(LENGTHS, 8, seed=2, epoch=0) != first


def test_rows_of_a_batch_are_of_like_length_and_batches_are_not_in_order_of_length() -> None:
    size = 8
    batches = epoch_batches(LENGTHS, size, seed=1, epoch=0)
    padding = sum(len(b) * max(LENGTHS[i] for i in b) - sum(LENGTHS[i] for i in b) for b in batches)
    shuffled = np.random.default_rng(1).permutation(LENGTHS)
    plain = [shuffled[i : i + size] for i in range(0, len(shuffled), size)]
    assert padding < 0.25 * sum(len(b) * b.max() - b.sum() for b in plain)
    longest = [max(LENGTHS[i] for i in batch) for batch in batches]
    assert longest != sorted(longest)
    # Rows far apart in the data still meet: the shuffle comes before the sort.
    span = size * SORT_SPAN
    assert {i // span for batch in batches[:SORT_SPAN] for i in batch} == set(range(len(LENGTHS) // span + 1))


class Padded:
    """What `split` asks of a Forward."""

    def tokens(self, rows: list[TokenRow]) -> int:
        return len(rows) * max(row.length for row in rows)


def rows_of(lengths: list[int]) -> list[TokenRow]:
    return [TokenRow([1] * (length - 1), [2]) for length in lengths]


@given(lengths=st.lists(st.integers(1, 900), min_size=1, max_size=40), tokens=st.integers(1, 5000))
def test_parts_hold_every_row_once_and_keep_the_limit(lengths: list[int], tokens: int) -> None:
    batch, rows = list(range(len(lengths)))[::-1], rows_of(lengths)
    parts = split(rows, batch, tokens, Padded())
    assert sorted(i for part in parts for i in part) == sorted(batch)
    for part in parts:
        assert len(part) == 1 or len(part) * max(lengths[i] for i in part) <= tokens


def test_a_batch_that_fits_is_not_split() -> None:
    rows = rows_of([8, 16, 9])
    assert split(rows, [2, 0, 1], 48, Padded()) == [[0, 2, 1]]
    assert split(rows, [2, 0, 1], 47, Padded()) == [[0, 2], [1]]
    assert split(rows, [], 48, Padded()) == []


@pytest.mark.parametrize(("length", "width"), [(1, 8), (8, 8), (9, 16), (64, 64)])
def test_lengths_are_rounded_up(length: int, width: int) -> None:
    assert padded(length) == width


def test_a_row_is_as_long_as_prompt_and_target_together() -> None:
    assert TokenRow([1, 2, 3], [4, 5]).length == 5
