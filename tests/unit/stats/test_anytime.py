"""Bounds that may be looked at at any time: they rarely ever miss, and a true difference is found."""

from __future__ import annotations

import numpy as np
import pytest

from rung.core.hashing import seed_from
from rung.stats.anytime import mean_bounds, paired_test, two_sample_test

RUNS, LONG, ALPHA = 300, 600, 0.1
# What 300 runs show at most, were the true share ALPHA: its binomial 99.9 % point.
MOST = 0.155


def ever_missed(values: np.ndarray, mean: np.ndarray | float, *, lowest: float) -> bool:
    bounds = mean_bounds(values, alpha=ALPHA, lowest=lowest, highest=1.0)
    return bool(((bounds.low > mean) | (bounds.high < mean)).any())


@pytest.mark.parametrize("share", [0.5, 0.9, 0.02])
def test_bounds_of_coin_flips_rarely_ever_miss_at_any_moment(share: float) -> None:
    rng = np.random.default_rng(seed_from("flips", share))
    missed = [ever_missed((rng.random(LONG) < share).astype(float), share, lowest=0.0) for _ in range(RUNS)]
    assert np.mean(missed) <= MOST


def test_without_a_difference_whoever_looks_after_every_pair_is_rarely_misled() -> None:
    rng = np.random.default_rng(seed_from("no difference"))
    missed = [
        ever_missed(rng.choice([-1.0, 0.0, 1.0], LONG, p=[0.15, 0.7, 0.15]), 0.0, lowest=-1.0) for _ in range(RUNS)
    ]
    assert np.mean(missed) <= MOST
    # A fixed-time interval that is looked at after every pair misses far more often: the reason for all this.
    naive = []
    for _ in range(RUNS):
        x = rng.choice([-1.0, 0.0, 1.0], LONG, p=[0.15, 0.7, 0.15])
        n = np.arange(1, LONG + 1)
        mean = np.cumsum(x) / n
        half = 1.645 * np.sqrt(np.maximum(np.cumsum(x * x) / n - mean**2, 1e-9) / n)
        naive.append(bool((np.abs(mean)[30:] > half[30:]).any()))
    assert np.mean(naive) > 2 * MOST


def test_bounds_follow_a_mean_that_drifts() -> None:
    rng = np.random.default_rng(seed_from("drift"))
    shares = 0.3 + 0.4 * (np.arange(LONG) // 100 % 2)
    running = np.cumsum(shares) / np.arange(1, LONG + 1)
    missed = [ever_missed((rng.random(LONG) < shares).astype(float), running, lowest=0.0) for _ in range(RUNS)]
    assert np.mean(missed) <= MOST


def test_a_true_difference_is_found_and_in_the_right_direction() -> None:
    rng = np.random.default_rng(seed_from("difference"))
    found = []
    for _ in range(40):
        first, second = ((rng.random(1500) < share).astype(float) for share in (0.85, 0.65))
        found.append(two_sample_test(first, second).verdict)
    assert found.count("better") >= 38
    assert paired_test(-rng.choice([0.0, 1.0], 400, p=[0.8, 0.2])).verdict == "worse"
    assert paired_test(np.zeros(2000), margin=0.05).verdict == "alike"
    assert two_sample_test(np.ones(5), np.zeros(5)).verdict == "open", "five answers prove nothing"


def test_two_streams_share_the_error() -> None:
    rng = np.random.default_rng(seed_from("two"))
    first, second = rng.random(80), rng.random(300)
    one, other = (mean_bounds(values, alpha=0.025) for values in (first, second))
    found = two_sample_test(first, second, alpha=0.05)
    assert (found.low, found.high) == (one.low[-1] - other.high[-1], one.high[-1] - other.low[-1])


def test_the_last_bounds_are_those_of_the_whole_row() -> None:
    values = np.random.default_rng(seed_from("row")).random(200) ** 3
    row, end = (mean_bounds(values, alpha=0.05, last=last) for last in (False, True))
    assert (row.low[-1], row.high[-1]) == (end.low[0], end.high[0])
    # The boundary is where the mixture reaches 2 / alpha, no sooner and no later.
    guesses = (np.cumsum(values) - values + 0.5) / np.arange(1, 201)
    spread = np.square(values - guesses).sum()
    reach = (values.mean() - end.low[0]) * 200
    stakes = np.geomspace(0.004, 0.9, 16)
    capital = np.exp(stakes * reach - (-np.log1p(-stakes) - stakes) * spread).mean()
    assert capital == pytest.approx(2 / 0.05, rel=1e-6)


def test_more_values_narrow_and_nothing_says_nothing() -> None:
    bounds = mean_bounds(np.tile([0.0, 1.0], 2000), alpha=0.05)
    width = bounds.high - bounds.low
    assert width[0] > 0.9
    assert width[99] < 0.5
    assert width[-1] < 0.09
    empty = two_sample_test(np.zeros(0), np.ones(3))
    assert (empty.verdict, empty.low, empty.high) == ("open", -1.0, 1.0)
    assert np.isnan(empty.difference)
    with pytest.raises(ValueError, match="from 0"):
        mean_bounds(np.array([0.5, 1.2]), alpha=0.05)
    with pytest.raises(ValueError, match="from 0"):
        mean_bounds(np.array([0.5, np.nan]), alpha=0.05)
