"""Non-inferiority with a margin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rung.stats.bootstrap import Draws, resample
from rung.stats.noninferior import non_inferiority
from rung.stats.paired import compare


def drawn(values: np.ndarray) -> Draws:
    return resample(
        values[:, :, None], None, lambda totals, n: totals[..., 0] / n, np.random.default_rng(3), draws=4000
    )


def answers(n: int, *shares: float) -> np.ndarray:
    return (np.random.default_rng(5).random((n, len(shares))) < np.array(shares)).astype(float)


def test_many_examples_give_the_t_test_against_the_margin() -> None:
    values = answers(4000, 0.8, 0.81)
    found = non_inferiority(drawn(values), margin=0.03)
    theirs = stats.ttest_1samp(values[:, 0] - values[:, 1], -0.03, alternative="greater")
    assert 0.001 < theirs.pvalue < 0.2
    assert found.p_value[0, 1] == pytest.approx(theirs.pvalue, rel=0.1)
    assert found.p_value[1, 0] < found.p_value[0, 1]


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("margin", [0.0, 0.02, 0.1])
def test_bound_and_p_value_agree(margin: float, alpha: float) -> None:
    found = non_inferiority(drawn(answers(150, 0.7, 0.75, 0.8)), margin=margin, alpha=alpha)
    off = ~np.eye(3, dtype=bool)
    assert ((found.lower > -margin) == (found.p_value < alpha))[off].all()
    assert np.isnan(found.p_value[~off]).all()


def test_the_bound_is_that_of_a_single_comparison() -> None:
    values = drawn(answers(300, 0.7, 0.75))
    assert non_inferiority(values, margin=0.05).lower[0, 1] == pytest.approx(compare(values).lower[0, 1], abs=0.002)


def test_few_examples_prove_nothing() -> None:
    found = non_inferiority(drawn(np.array([[1.0, 1.0]] * 4)), margin=0.05)
    assert found.p_value[0, 1] > 0.4
    assert math.isnan(non_inferiority(drawn(np.array([[1.0, 0.0]])), margin=0.05).p_value[0, 1])
    clear = non_inferiority(drawn(np.array([[0.0, 1.0]] * 40)), margin=0.05)
    assert clear.p_value[0, 1] > 0.999
    with pytest.raises(ValueError, match="negative"):
        non_inferiority(drawn(answers(10, 0.5, 0.5)), margin=-0.1)


def test_a_candidate_at_the_margin_is_seldom_passed() -> None:
    rng = np.random.default_rng(8)
    passed = 0
    for _ in range(100):
        both = rng.random((100, 2))
        both[:, 1] = np.where(rng.random(100) < 0.4, both[:, 1], both[:, 0])
        values = (both < [0.75, 0.8]).astype(float)
        found = resample(values[:, :, None], None, lambda totals, n: totals[..., 0] / n, rng, draws=200)
        passed += bool(non_inferiority(found, margin=0.05).p_value[0, 1] < 0.05)
    assert passed / 100 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 100)
