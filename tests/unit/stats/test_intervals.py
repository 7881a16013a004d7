"""Intervals of shares and of bootstrapped statistics."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from rung.stats.intervals import (
    bootstrap_interval,
    clopper_pearson,
    difference_bounds,
    guarded_bounds,
    pseudo_examples,
    standard_error,
    two_sided_z,
    wilson,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 3), (3, 3), (1, 7), (81, 263), (999, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_shares_as_in_statsmodels_and_scipy(successes: int, n: int, level: float) -> None:
    for interval, theirs, name in ((wilson, "wilson", "wilson"), (clopper_pearson, "beta", "exact")):
        found = interval(successes, n, level=level)
        low, high = proportion_confint(successes, n, alpha=1 - level, method=theirs)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
        ci = stats.binomtest(successes, n).proportion_ci(level, method=name)
        assert (found.low, found.high) == pytest.approx((ci.low, ci.high), abs=1e-9)


def test_known_wilson_interval() -> None:
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263.
    found = wilson(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize("interval", [wilson, clopper_pearson])
def test_no_trials_say_nothing_and_nonsense_is_refused(interval: type) -> None:
    found = interval(0, 0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    with pytest.raises(ValueError, match="5 successes in 3 trials"):
        interval(5, 3)


def share_bounds(successes: np.ndarray, n: int, z: float) -> np.ndarray:
    share = successes / n
    return guarded_bounds(share, np.sqrt(share * (1 - share) / n), np.array(float(n)), z, lowest=0.0, highest=1.0).low


@pytest.mark.parametrize("n", [10, 30, 300, 3000])
@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.01])
def test_guard_meets_the_exact_bound_when_nothing_went_wrong(n: int, alpha: float) -> None:
    z = float(stats.norm.isf(alpha))
    assert 1 - float(share_bounds(np.array(float(n)), n, z)) == pytest.approx(1 - alpha ** (1 / n), rel=0.05)


def test_guard_fades_with_more_examples() -> None:
    z = two_sided_z(0.95)
    wald = 0.3 - z * math.sqrt(0.3 * 0.7 / 100_000)
    assert float(share_bounds(np.array(30_000.0), 100_000, z)) == pytest.approx(wald, abs=3e-5)
    assert float(share_bounds(np.array(30_000.0), 100_000, z)) < wald


@pytest.mark.parametrize("n", [3, 10, 50, 200])
def test_guarded_share_covers(n: int) -> None:
    """Exact error of the 97.5 % lower bound over all outcomes: never much above what is stated, unlike the plain bound."""
    alpha = 0.025
    z = float(stats.norm.isf(alpha))
    outcomes = np.arange(n + 1.0)
    guarded, share = share_bounds(outcomes, n, z), outcomes / n
    plain = share - z * np.sqrt(share * (1 - share) / n)
    truths = np.append(np.linspace(0.02, 0.98, 49), [0.99, 0.995, 0.999])
    weight = stats.binom.pmf(outcomes[None, :], n, truths[:, None])
    assert (weight * (guarded > truths[:, None])).sum(axis=1).max() < 1.25 * alpha
    assert (weight * (plain > truths[:, None])).sum(axis=1).max() > 5 * alpha


def test_guard_is_symmetric() -> None:
    point, se, units = np.array([0.2, -0.4]), np.array([0.1, 0.0]), np.array([20.0, 5.0])
    one = guarded_bounds(point, se, units, 1.96, lowest=-1, highest=1)
    other = guarded_bounds(-point, se, units, 1.96, lowest=-1, highest=1)
    np.testing.assert_allclose(one.low, -other.high)
    assert (one.low < point).all()
    assert (one.high > point).all()


def paired_ends(wins: float, losses: float, n: float, z: float = 1.96) -> tuple[float, float]:
    mean = (wins - losses) / n
    se = math.sqrt(((wins + losses) / n - mean * mean) / n)
    found = difference_bounds(np.array(mean), np.array(se), np.array(n), z)
    return float(found.low), float(found.high)


def test_difference_bounds_are_wilsons_for_wins_and_ties() -> None:
    """No losses: up is a share's upper end, but for the a of the formula in place of z squared."""
    low, high = paired_ends(0, 12, 60)
    theirs = wilson(12, 60)
    assert -low == pytest.approx(theirs.high, abs=0.004)
    assert high > -theirs.low - 0.03


def test_difference_bounds_close_on_the_normal_interval() -> None:
    low, high = paired_ends(30_000, 20_000, 100_000)
    half = 1.96 * math.sqrt((0.5 - 0.01) / 100_000)
    assert low == pytest.approx(0.1 - half, abs=5e-5)
    assert high == pytest.approx(0.1 + half, abs=5e-5)


def test_difference_bounds_of_unanimous_examples() -> None:
    n, alpha = 12.0, 0.025
    assert paired_ends(12, 0, n)[0] == pytest.approx(1 - 2 * (1 - alpha ** (1 / n)), abs=1e-4)
    assert paired_ends(12, 0, n)[1] == 1
    few, many = paired_ends(0, 0, 12), paired_ends(0, 0, 3000)
    assert few[0] == -few[1] == pytest.approx(-(1 - alpha ** (1 / 12)), abs=1e-4)
    assert many[1] == pytest.approx(-math.log(alpha) / 3000, rel=0.01)
    assert np.isnan(difference_bounds(np.array(0.5), np.array(0.1), np.array(1.0), 1.96).low)
    assert np.isnan(difference_bounds(np.array(0.5), np.array(np.nan), np.array(9.0), 1.96).high)


def test_difference_bounds_cover_on_both_sides() -> None:
    """Exact, 40 questions: coverage of 93 % at least for every design, and 97.5 % on each side not far missed."""
    n = 40
    seen = np.array([(w, v) for w in range(n + 1) for v in range(n + 1 - w)], dtype=float)
    mean, both = (seen[:, 0] - seen[:, 1]) / n, seen.sum(axis=1) / n
    found = difference_bounds(mean, np.sqrt((both - mean**2).clip(0) / n), np.full(len(seen), 40.0), 1.96)
    for wins, losses in itertools.product((0.02, 0.1, 0.25, 0.45), repeat=2):
        weight = stats.multinomial.pmf(np.c_[seen, n - seen.sum(axis=1)], n, [wins, losses, 1 - wins - losses])
        above = weight[found.low > wins - losses + 1e-12].sum()
        below = weight[found.high < wins - losses - 1e-12].sum()
        assert above + below <= 0.07
        assert max(above, below) <= 0.05


def test_weight_of_the_guard_solves_its_equation() -> None:
    for z in (0.0, 1.645, 1.96, 3.5):
        w = float(pseudo_examples(z))
        assert w + z * math.sqrt(w) == pytest.approx(-math.log(stats.norm.sf(z)))


def test_bootstrap_interval_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    values = rng.random((400, 2))
    draws = np.array([values[rng.integers(0, 400, 400)].mean(axis=0) for _ in range(2000)])
    found = bootstrap_interval(values.mean(axis=0), draws, np.array([400.0, 400.0]))
    half = 1.96 * values.std(axis=0) / 20
    np.testing.assert_allclose(found.low, values.mean(axis=0) - half, atol=0.004)
    np.testing.assert_allclose(found.high, values.mean(axis=0) + half, atol=0.004)


def test_one_unit_has_no_standard_error() -> None:
    draws = np.ones((50, 3))
    draws[:, 2] = np.nan
    se = standard_error(draws, np.array([1.0, 2.0, 2.0]))
    assert np.isnan(se[[0, 2]]).all()
    assert se[1] == 0
    found = bootstrap_interval(np.ones(3), draws, np.array([1.0, 2.0, 2.0]))
    assert np.isnan(found.low[[0, 2]]).all()
    assert 0 < found.low[1] < 0.3
