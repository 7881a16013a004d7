"""Which rows come first: doubt, spread, and both together."""

from __future__ import annotations

import numpy as np
import pytest

from rung.experiment.annotating.order import (
    DIMENSIONS,
    Pool,
    doubt_of,
    head_doubt,
    label_order,
    random_order,
    text_vectors,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def corners(each: int, kinds: int = 3) -> np.ndarray:
    """`each` rows close to each of `kinds` directions."""
    noise = np.random.default_rng(1).normal(0, 0.02, (each * kinds, kinds))
    x = np.repeat(np.eye(kinds), each, axis=0) + noise
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def test_doubt_is_one_minus_the_margin_between_the_two_likeliest() -> None:
    found = doubt_of(np.array([[0.9, 0.05, 0.05], [0.5, 0.5, 0.0], [0.4, 0.3, 0.3]]))
    assert found == pytest.approx([0.15, 1.0, 0.9])
    assert doubt_of(np.ones((4, 1))).tolist() == [0.0] * 4


def test_without_doubts_the_first_rows_are_one_of_each_kind() -> None:
    picked = label_order(Pool(corners(50)), 3, rng())
    assert {row // 50 for row in picked} == {0, 1, 2}


def test_rows_far_from_what_is_labelled_come_first() -> None:
    x = corners(20)
    picked = label_order(Pool(x[:40], done=x[:10]), 1, rng())
    assert picked[0] >= 20


def test_doubtful_rows_come_first_but_not_all_from_one_corner() -> None:
    x = corners(40)
    doubt = np.where(np.arange(120) < 80, 0.9, 0.01)
    picks = [label_order(Pool(x, doubt), 6, np.random.default_rng(seed)) for seed in range(20)]
    kinds = np.array([[row // 40 for row in pick] for pick in picks])
    assert (kinds == 2).mean() < 0.1
    assert all({0, 1} <= set(row) for row in kinds.tolist())


def test_every_row_is_picked_once_even_where_all_are_equal() -> None:
    x = np.tile([1.0, 0.0], (5, 1))
    for doubt in (None, np.zeros(5)):
        assert sorted(label_order(Pool(x, doubt), 9, rng())) == [0, 1, 2, 3, 4]
    assert label_order(Pool(np.zeros((0, 2))), 3, rng()) == []


def test_a_head_has_no_say_before_it_has_seen_enough() -> None:
    x = corners(10)
    assert head_doubt(x, [0, 1, 2, 3], ["a"] * 4) is None
    assert head_doubt(x, [0, 10, 1], ["a", "b", "a"]) is None
    doubt = head_doubt(x, [0, 1, 2, 10, 11, 12], ["a"] * 3 + ["b"] * 3)
    assert doubt is not None
    # The third direction is one of which the head has seen nothing.
    assert doubt[20:].mean() > 3 * doubt[:20].mean()


def test_texts_become_unit_vectors_in_which_like_is_near_like() -> None:
    texts = [
        "my parcel is late",
        "the parcel is late again",
        "please refund my money",
        "a refund of my money please",
    ] * 3
    x = text_vectors(texts)
    assert x.shape[0] == 12
    assert x.shape[1] <= DIMENSIONS
    assert np.linalg.norm(x, axis=1) == pytest.approx(np.ones(12))
    assert x[0] @ x[1] > x[0] @ x[2]
    assert text_vectors(["快递还没到", "我要退款"]).shape[0] == 2


def test_a_random_order_depends_on_ids_alone() -> None:
    ids = [f"r{n}" for n in range(30)]
    first = [ids[n] for n in random_order(ids, 0)]
    backwards = ids[::-1]
    assert first == [backwards[n] for n in random_order(backwards, 0)]
    assert first != [ids[n] for n in random_order(ids, 1)]
