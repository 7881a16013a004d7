"""Candidates compared on the same examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from rung.stats.bootstrap import Draws, resample
from rung.stats.intervals import clopper_pearson
from rung.stats.paired import PairwiseBounds, compare, lower_bounds, mcnemar, permutation_test


def mean(totals: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.divide(totals[..., 0], n, out=np.full(np.shape(n), np.nan), where=np.asarray(n) > 0)


def draw(values: object, draws: int = 4000, groups: list[str] | None = None) -> Draws:
    parts = np.array(values, dtype=float)[:, :, None]
    return resample(parts, groups, mean, np.random.default_rng(11), draws=draws)


def wins_and_losses(wins: int, losses: int, ties: int) -> PairwiseBounds:
    return compare(draw([[1, 0]] * wins + [[0, 1]] * losses + [[1, 1]] * ties))


def test_one_pair_of_many_examples_is_the_normal_interval() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.random(2000) < 0.8, rng.random(2000) < 0.7], axis=1).astype(float)
    found = compare(draw(values))
    difference = values[:, 0] - values[:, 1]
    half = 1.96 * difference.std() / math.sqrt(2000)
    assert found.difference[0, 1] == pytest.approx(difference.mean())
    assert found.lower[0, 1] == pytest.approx(difference.mean() - half, abs=0.003)
    assert found.upper[0, 1] == pytest.approx(difference.mean() + half, abs=0.003)
    assert found.worst(0) == found.lower[0, 1] == -found.upper[1, 0]
    assert found.marginal.low[0] < values[:, 0].mean() < found.marginal.high[0]


def test_winning_three_of_three_proves_nothing() -> None:
    found = wins_and_losses(3, 0, 0)
    assert found.difference[0, 1] == 1
    assert found.lower[0, 1] < -0.4
    assert found.upper[0, 1] == 1
    assert found.lower[1, 0] == -1


@pytest.mark.parametrize("wins", range(1, 13))
def test_clean_sweeps_count_when_mcnemar_says_so(wins: int) -> None:
    sweep = mcnemar(np.ones(wins, dtype=bool), np.zeros(wins, dtype=bool))
    assert (wins_and_losses(wins, 0, 0).worst(0) > 0) == (sweep.exact < 0.05)


@pytest.mark.parametrize(("wins", "losses"), [(3, 0), (4, 0), (5, 0), (5, 1), (8, 2), (20, 10), (60, 40)])
def test_few_discordant_examples_are_never_called_significant_against_mcnemar(wins: int, losses: int) -> None:
    assert stats.binomtest(losses, wins + losses).pvalue > 0.05
    assert wins_and_losses(wins, losses, 1000).worst(0) < 0


@pytest.mark.parametrize(("wins", "losses"), [(9, 0), (12, 1), (30, 10), (70, 40)])
def test_clear_wins_are_seen(wins: int, losses: int) -> None:
    assert wins_and_losses(wins, losses, 1000).worst(0) > 0


def test_identical_scores_differ_by_nothing_within_the_rule_of_three() -> None:
    few, many = wins_and_losses(0, 0, 3), wins_and_losses(0, 0, 3000)
    assert few.difference[0, 1] == many.difference[0, 1] == 0
    assert few.lower[0, 1] < -0.5
    assert many.critical == pytest.approx(1.96, abs=0.001)
    assert many.lower[0, 1] == pytest.approx(math.log(0.025) / 3000, rel=0.02)
    six = compare(draw(np.ones((3000, 6)), draws=100))
    assert six.lower[2, 5] == pytest.approx(math.log(0.025 / 15) / 3000, rel=0.02)


def test_rounding_is_no_difference() -> None:
    values = np.random.default_rng(0).random((300, 1)) / 3
    found = compare(draw(np.concatenate([values, values[:, ::-1] * 3 / 3, values], axis=1)))
    assert (found.difference == 0).all()
    assert (found.se == 0).all()


def test_more_candidates_widen_the_bounds() -> None:
    values = np.random.default_rng(0).random((400, 12))
    two, twelve = compare(draw(values[:, :2])), compare(draw(values))
    assert two.critical < 2.1
    # Tukey's studentized range is what independent, normal candidates would give.
    assert twelve.critical == pytest.approx(stats.studentized_range.ppf(0.95, 12, 1e5) / math.sqrt(2), abs=0.15)
    assert twelve.lower[0, 1] < two.lower[0, 1]


def test_one_unit_or_one_candidate() -> None:
    alone = compare(draw([[1, 0]]))
    assert np.isnan(alone.lower[0, 1])
    assert np.isnan(alone.worst(0))
    assert np.isnan(compare(draw([[1], [0], [1]])).worst(0))
    empty = compare(draw(np.zeros((0, 2))))
    assert np.isnan(empty.difference[0, 1])
    assert np.isnan(empty.marginal.low).all()


def test_a_candidate_without_scores_leaves_the_others_alone() -> None:
    values = np.random.default_rng(0).random((50, 3))
    values[:, 2] = np.nan
    found = compare(draw(values))
    assert np.isnan(found.lower[0, 2])
    assert np.isfinite(found.lower[0, 1])
    assert found.critical < 2.3


def test_all_bounds_hold_at_once() -> None:
    """Coverage of the 95 % family over 200 test sets of 150 examples, four candidates with shared errors."""
    rng = np.random.default_rng(5)
    truth = np.array([0.7, 0.72, 0.8, 0.9])
    missed = 0
    for _ in range(200):
        easy = rng.random(150)
        values = (easy[:, None] < truth).astype(float)
        values = np.where(rng.random((150, 4)) < 0.1, (rng.random((150, 4)) < truth), values)
        found = compare(draw(values, draws=400))
        missed += bool((found.lower > np.subtract.outer(truth, truth) + 1e-12).any())
    assert missed <= 0.05 * 200 + 2 * math.sqrt(0.05 * 0.95 * 200)


@pytest.mark.parametrize("right", [3, 18, 20])
def test_bound_of_one_candidate_is_near_the_exact_one(right: int) -> None:
    n = max(right, 20) if right > 3 else 3
    found = lower_bounds(draw([[1]] * right + [[0]] * (n - right), draws=20_000), alpha=0.01)
    assert found[0] == pytest.approx(clopper_pearson(right, n, level=0.98).low, abs=0.1 if n == 3 else 0.02)


@pytest.mark.parametrize("alpha", [0.05, 0.05 / 6])
@pytest.mark.parametrize("n", [30, 300])
def test_bound_fails_no_more_often_than_stated(n: int, alpha: float) -> None:
    """Exact error over all outcomes, for targets from 0.1 to 0.98; the bootstrap's own error included."""
    right = np.arange(n + 1)
    draws = np.random.default_rng(2).binomial(n, right / n, size=(4000, n + 1)) / n
    found = lower_bounds(Draws(right / n, draws, np.full(n + 1, float(n))), alpha=alpha)
    truths = np.append(np.linspace(0.1, 0.95, 18), 0.98)
    weight = stats.binom.pmf(right[None, :], n, truths[:, None])
    assert (weight * (found > truths[:, None])).sum(axis=1).max() <= alpha


def test_bound_counts_what_grouped_answers_are_worth() -> None:
    """Five copies of each answer are worth one; five independent answers in a group are worth five."""
    rng = np.random.default_rng(4)
    once = (rng.random((100, 1)) < 0.8).astype(float)
    names = [f"g{i // 5}" for i in range(500)]
    copied = lower_bounds(draw(np.repeat(once, 5, axis=0), groups=names), alpha=0.05)[0]
    assert copied == pytest.approx(lower_bounds(draw(once), alpha=0.05)[0], abs=0.01)
    apart = (rng.random((500, 1)) < 0.8).astype(float)
    spread = lower_bounds(draw(apart, groups=names), alpha=0.05)[0]
    assert spread == pytest.approx(lower_bounds(draw(apart), alpha=0.05)[0], abs=0.012)


def test_bound_without_spread_still_leaves_room() -> None:
    found = lower_bounds(draw([[0.8]] * 20), alpha=0.05)[0]
    assert found < 0.8 * 0.05 ** (1 / 20) + 1e-9
    assert math.isnan(lower_bounds(draw([[1]]), alpha=0.05)[0])
    assert lower_bounds(draw([[0]] * 20), alpha=0.05)[0] == 0


def test_smaller_alpha_asks_for_more() -> None:
    drawn = draw([[1]] * 90 + [[0]] * 10)
    bounds = [lower_bounds(drawn, alpha=alpha)[0] for alpha in (0.05, 0.05 / 6, 0.001)]
    assert bounds == sorted(bounds, reverse=True)
    assert 0.83 < bounds[0] < 0.86


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 0), (7, 7), (12, 5), (26, 2)])
def test_mcnemar_as_in_statsmodels(b: int, c: int) -> None:
    first = np.array([True] * b + [False] * c + [True] * 20)
    second = np.array([False] * b + [True] * c + [True] * 20)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (b, c)
    assert found.exact == pytest.approx(reference_mcnemar([[20, b], [c, 0]], exact=True).pvalue)
    assert found.mid_p <= found.exact
    if b != c:
        assert found.mid_p == pytest.approx(found.exact - stats.binom.pmf(min(b, c), b + c, 0.5))


def test_mcnemar_refuses_misaligned_answers_and_knows_nothing_of_none() -> None:
    assert math.isnan(mcnemar(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)).exact)
    with pytest.raises(ValueError, match="not aligned"):
        mcnemar(np.ones(3, dtype=bool), np.ones(2, dtype=bool))


def test_permutation_test_as_in_scipy() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random(40), rng.random(40) - 0.12
    theirs = stats.permutation_test(
        (first, second),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(0),
    )
    parts = np.stack([first, second], axis=1)[:, :, None]
    ours = permutation_test(parts, None, mean, np.random.default_rng(1), draws=9999)
    assert 0.01 < ours < 0.5
    assert ours == pytest.approx(theirs.pvalue, abs=0.015)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_few_groups_are_permuted_exactly_as_in_scipy(alternative: str) -> None:
    rng = np.random.default_rng(6)
    first, second = rng.random(10).round(2), rng.random(10).round(2) - 0.2
    theirs = stats.permutation_test(
        (first, second),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative=alternative,
    )
    parts = np.stack([first, second], axis=1)[:, :, None]
    ours = permutation_test(parts, None, mean, np.random.default_rng(1), alternative=alternative)  # type: ignore[arg-type]
    assert ours == pytest.approx(theirs.pvalue, abs=1e-12)


def test_one_sided_permutations_look_one_way() -> None:
    parts = np.stack([np.ones(40), np.r_[np.zeros(10), np.ones(30)]], axis=1)[:, :, None]
    sides = {
        side: permutation_test(parts, None, mean, np.random.default_rng(1), draws=4999, alternative=side)  # type: ignore[arg-type]
        for side in ("greater", "less", "two-sided")
    }
    assert sides["greater"] == pytest.approx(1 / 1024, abs=0.001)
    assert sides["less"] == 1
    assert sides["two-sided"] == pytest.approx(2 / 1024, abs=0.0015)


def test_permutation_test_swaps_whole_groups_and_is_never_zero() -> None:
    parts = np.stack([np.ones(40), np.zeros(40)], axis=1)[:, :, None]
    single = permutation_test(parts, None, mean, np.random.default_rng(1), draws=999)
    grouped = permutation_test(parts, ["a"] * 20 + ["b"] * 20, mean, np.random.default_rng(1), draws=999)
    assert single == pytest.approx(1 / 1000)
    assert grouped == 0.5
    same = np.ones((40, 2, 1))
    assert permutation_test(same, None, mean, np.random.default_rng(1), draws=99) == 1
    assert math.isnan(permutation_test(np.zeros((0, 2, 1)), None, mean, np.random.default_rng(1), draws=99))
    with pytest.raises(ValueError, match="two candidates"):
        permutation_test(np.zeros((4, 3, 1)), None, mean, np.random.default_rng(1))
