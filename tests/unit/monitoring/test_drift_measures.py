"""Distances and tests: known values, agreement with scipy, and p values that err as often as they say."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from rung.core.hashing import seed_from
from rung.monitoring.drift import change, divergence, exceedance, kinds_test, shift, stability_index
from rung.monitoring.unlike import Letters, compare_questions

RNG = np.random.default_rng(seed_from("drift measures"))


def test_the_divergence_of_lin_is_scipys_squared() -> None:
    p, q = {"a": 3, "b": 5, "c": 2}, {"a": 1, "c": 7, "d": 2}
    expected = jensenshannon([3, 5, 2, 0], [1, 0, 7, 2], base=2) ** 2
    assert divergence(p, q) == pytest.approx(expected)
    assert divergence(p, p) == pytest.approx(0.0)
    assert divergence({"a": 1}, {"b": 9}) == pytest.approx(1.0)
    assert math.isnan(divergence({}, p))


def test_the_stability_index_is_small_for_the_same_and_large_for_another_distribution() -> None:
    same = stability_index(RNG.normal(size=2000), RNG.normal(size=2000))
    moved = stability_index(RNG.normal(size=2000), RNG.normal(1.0, size=2000))
    assert same < 0.03
    # Twice half the squared distance for two normal distributions of equal width, less what the bins hide.
    assert 0.7 < moved < 1.1
    assert math.isfinite(stability_index(np.ones(50), np.zeros(50)))


def test_a_shift_knows_its_direction_and_empty_sides() -> None:
    found = shift(RNG.normal(size=300), RNG.normal(1, size=300))
    assert found.now > found.before
    assert found.p < 1e-6
    assert math.isnan(shift(np.array([]), np.ones(3)).p)


def test_a_change_of_a_share_has_an_interval_around_it() -> None:
    found = change(8, 200, 90, 500)
    assert (found.before, found.now) == (0.04, 0.18)
    assert 0.08 < found.low < 0.14 < found.high < 0.19
    assert found.p < 1e-5
    assert change(0, 3, 3, 3).p == pytest.approx(0.1)


def test_exceedances_ring_as_often_as_they_say() -> None:
    """Whatever the distribution, and however few times the border rests on."""
    for m, n in ((20, 60), (100, 400)):
        rank = max(1, m // 20)
        before, now = np.sort(RNG.lognormal(size=(4000, m)), axis=1), RNG.lognormal(size=(4000, n))
        beyond = (now > before[:, [m - rank]]).sum(axis=1)
        rate = np.mean([exceedance(int(k), n, rank, m) <= 0.05 for k in beyond])
        assert 0.02 < rate < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)
    assert math.isnan(exceedance(3, 10, 1, 0))


def test_kinds_are_told_apart_and_rare_ones_counted_together() -> None:
    many = Counter({f"doc{i}": 1 for i in range(300)})
    assert math.isnan(kinds_test(many, many))
    rates = []
    for _ in range(600):
        draws = [Counter(RNG.choice(list("abcdefghij"), 80, p=np.arange(1, 11) / 55).tolist()) for _ in range(2)]
        rates.append(kinds_test(*draws) <= 0.05)
    assert 0.02 < np.mean(rates) < 0.08
    assert kinds_test(Counter("aaaabbbb" * 10), Counter("ccccbbbb" * 10)) < 1e-6


def questions(n: int, words: str, rng: np.random.Generator) -> list[str]:
    return [" ".join(rng.choice(words.split(), 6)) + f" {i}" for i in range(n)]


def test_questions_about_something_else_are_found_and_the_furthest_named() -> None:
    rng = np.random.default_rng(3)
    usual = questions(120, "rent deposit flat heating door key noise neighbour repair window", rng)
    now = [*questions(100, "rent deposit flat heating door key noise neighbour repair window", rng),
           *questions(25, "quantum entropy boson lattice photon spin", rng)]  # fmt: skip
    found = compare_questions(usual, now, [f"rq-{n}" for n in range(125)], Letters(), rng)
    assert found is not None
    assert found.p < 1e-4
    assert found.far >= 25
    assert all(int(id.removeprefix("rq-")) >= 100 for id in found.furthest)


def test_questions_that_lean_to_one_side_have_moved() -> None:
    rng = np.random.default_rng(5)
    usual = questions(150, "rent rent rent deposit flat heating door key noise", rng)
    now = questions(150, "rent deposit flat heating door key noise noise noise noise", rng)
    found = compare_questions(usual, now, ["x"] * 150, Letters(), rng)
    assert found is not None
    assert found.moved_p < 1e-4
    assert found.moved > 0.2


def test_questions_of_one_kind_ring_as_seldom_as_they_should() -> None:
    words, far, moved = "a rent deposit flat heating door key noise neighbour repair window the who when", [], []
    for n in range(150):
        rng = np.random.default_rng(n)
        found = compare_questions(questions(80, words, rng), questions(80, words, rng), ["x"] * 80, Letters(), rng)
        assert found is not None
        far.append(found.p <= 0.05)
        moved.append(found.moved_p <= 0.05)
    border = 0.05 + 3 * math.sqrt(0.05 * 0.95 / 150)
    assert np.mean(far) < border
    assert np.mean(moved) < border


def test_who_asks_the_same_again_and_again_has_asked_one_question() -> None:
    rng = np.random.default_rng(4)
    usual = questions(60, "rent deposit flat heating door key", rng)
    assert compare_questions(usual, ["Boson?"] * 500, ["x"] * 500, Letters(), rng) is None


def test_letters_are_unit_vectors_for_every_script() -> None:
    found = Letters().encode(["房租什么时候交", "", "a", "RENT", "rent"])
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0)
    assert found[3] @ found[4] == pytest.approx(1.0)
