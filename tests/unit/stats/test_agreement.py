"""Cohen's kappa."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from rung.stats.agreement import cohen_kappa


@pytest.mark.parametrize("seed", range(3))
def test_as_in_statsmodels_and_sklearn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 4, 300)
    second = np.where(rng.random(300) < 0.6, first, rng.integers(0, 3, 300))
    table = np.zeros((4, 4))
    np.add.at(table, (first, second), 1)
    theirs = cohens_kappa(table)
    ours = cohen_kappa([str(c) for c in first], [str(c) for c in second])
    assert ours.value == pytest.approx(cohen_kappa_score(first, second)) == pytest.approx(theirs.kappa)
    assert ours.se == pytest.approx(theirs.std_kappa)
    assert ours.low == pytest.approx(theirs.kappa_low, abs=0.015)
    assert ours.low < theirs.kappa_low
    assert ours.high == pytest.approx(theirs.kappa_upp, abs=0.015)


def test_known_answer() -> None:
    # Cohen's measure by hand: 50 items, 35 agreed, chance 0.5 * 0.6 + 0.5 * 0.4.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    found = cohen_kappa(first, second)
    assert found.agreement == pytest.approx(0.7)
    assert found.value == pytest.approx(0.4)


def test_full_agreement_on_three_items_leaves_room() -> None:
    found = cohen_kappa(list("abc"), list("abc"))
    assert found.value == found.high == 1
    assert found.low < 0.1


def test_worse_than_chance() -> None:
    found = cohen_kappa(["a", "b"] * 20, ["b", "a"] * 20)
    assert found.value == found.low == pytest.approx(-1)
    assert found.high < -0.7


def test_what_is_not_defined() -> None:
    assert math.isnan(cohen_kappa([], []).value)
    one_category = cohen_kappa(["a"] * 5, ["a"] * 5)
    assert math.isnan(one_category.value)
    assert one_category.agreement == 1
    assert math.isnan(cohen_kappa(["a"], ["b"]).se)
    with pytest.raises(ValueError, match="do not align"):
        cohen_kappa(["a"], [])
