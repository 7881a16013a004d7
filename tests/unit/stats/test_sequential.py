"""Anytime-valid paired comparisons."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rung.stats.sequential import lagging, log_evidence, race_bounds

ALPHA = 0.05
KINDS = np.array([1.0, -1.0, 0.0])


def streams(rng: np.random.Generator, wins: float, losses: float, t: int, c: int) -> np.ndarray:
    return rng.choice(KINDS, p=[wins, losses, 1 - wins - losses], size=(t, c))


@pytest.mark.parametrize(("wins", "losses"), [(0.1, 0.1), (0.3, 0.3), (0.02, 0.0), (0.05, 0.2)])
def test_looking_after_every_example_errs_no_more_often_than_stated(wins: float, losses: float) -> None:
    found = streams(np.random.default_rng(1), wins, losses, 120, 600)
    rejected = np.zeros(600, dtype=bool)
    for t in range(1, 121):
        rejected |= log_evidence(found[:t], null=wins - losses) >= -math.log(ALPHA)
    assert rejected.mean() <= ALPHA


def test_evidence_is_a_fair_game() -> None:
    """Under the boundary the mean capital is 1: neither more, which would be invalid, nor much less."""
    found = streams(np.random.default_rng(2), 0.2, 0.2, 12, 60_000)
    assert np.exp(log_evidence(found)).mean() == pytest.approx(1, abs=0.1)


def test_shuffled_population_errs_no_more_often_and_ends_exact() -> None:
    rng = np.random.default_rng(3)
    everything = rng.choice(KINDS, p=[0.2, 0.25, 0.55], size=80)
    found = np.stack([rng.permutation(everything) for _ in range(500)], axis=1)
    truth, rejected = everything.mean(), np.zeros(500, dtype=bool)
    for t in range(1, 81):
        rejected |= log_evidence(found[:t], null=truth, population=80) >= -math.log(ALPHA)
    assert rejected.mean() <= ALPHA
    done = race_bounds(found[:, :3], alpha=ALPHA, population=80)
    np.testing.assert_allclose(done.low, truth, atol=1e-6)
    np.testing.assert_allclose(done.high, truth, atol=1e-6)
    half, open_ended = race_bounds(found[:60], alpha=ALPHA, population=80), race_bounds(found[:60], alpha=ALPHA)
    assert (half.high - half.low).mean() < 0.7 * (open_ended.high - open_ended.low).mean()


def test_bounds_are_what_the_evidence_does_not_reject() -> None:
    found = streams(np.random.default_rng(4), 0.3, 0.1, 60, 5)
    for population in (None, 100):
        bounds = race_bounds(found, alpha=ALPHA, population=population)
        threshold = math.log(2 / ALPHA)
        at = log_evidence(found, null=bounds.low, population=population)
        np.testing.assert_allclose(at, threshold, atol=1e-4)
        np.testing.assert_allclose(log_evidence(-found, null=-bounds.high, population=population), at, atol=1e-4)
        assert (bounds.low < found.mean(axis=0)).all()
        assert (found.mean(axis=0) < bounds.high).all()


def test_bounds_narrow_and_are_not_far_from_those_of_one_look() -> None:
    found = streams(np.random.default_rng(5), 0.2, 0.1, 400, 50)
    widths = [np.subtract(b.high, b.low).mean() for b in (race_bounds(found[:t], alpha=ALPHA) for t in (50, 200, 400))]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 2 * 2 * 1.96 * found.std() / 20
    nothing = race_bounds(found[:0], alpha=ALPHA)
    assert (nothing.low == -1).all()
    assert (nothing.high == 1).all()


def test_unknown_differences_are_skipped() -> None:
    found = streams(np.random.default_rng(6), 0.3, 0.1, 40, 2)
    gaps = np.insert(found, [5, 20], np.nan, axis=0)
    np.testing.assert_allclose(log_evidence(gaps), log_evidence(found))
    np.testing.assert_allclose(race_bounds(gaps, alpha=ALPHA).low, race_bounds(found, alpha=ALPHA).low)


@pytest.mark.parametrize(
    ("differences", "population"),
    [(np.full((3, 1), 1.5), None), (np.zeros(3), None), (np.zeros((5, 1)), 4), (np.array([[0.0], [np.nan]]), 9)],
)
def test_nonsense_is_refused(differences: np.ndarray, population: int | None) -> None:
    with pytest.raises(ValueError, match=r"differences|examples"):
        log_evidence(differences, population=population)


def race(rng: np.random.Generator, truths: np.ndarray, n: int = 150, **rules: float) -> tuple[list[int], float]:
    """Who is left at the end, and the share of calls that were asked."""
    common, own = rng.random((n, 1)), rng.random((n, len(truths)))
    scores = (np.where(rng.random(own.shape) < 0.3, own, common) < truths).astype(float)
    alive, calls = np.arange(len(truths)), 0
    for t in range(10, n + 1, 10):
        calls += 10 * len(alive)
        alive = alive[~lagging(scores[:t, alive], alpha=ALPHA, rivals=len(truths) - 1, **rules)]  # type: ignore[arg-type]
    return [int(i) for i in alive], calls / (n * len(truths))


def test_the_best_setting_seldom_leaves_and_losers_do() -> None:
    rng = np.random.default_rng(7)
    truths = np.array([0.85, *[0.7] * 6, *[0.4] * 6])
    races = [race(rng, truths) for _ in range(60)]
    assert np.mean([0 in alive for alive, _ in races]) >= 1 - ALPHA
    assert np.mean([len(alive) for alive, _ in races]) < 6
    assert np.mean([share for _, share in races]) < 0.7


def test_each_of_many_equal_settings_seldom_leaves() -> None:
    rng = np.random.default_rng(8)
    left = [len(race(rng, np.full(8, 0.7))[0]) for _ in range(50)]
    assert np.mean(left) / 8 >= 1 - ALPHA


def test_tolerance_lets_equals_leave_and_the_leader_stays() -> None:
    scores = np.ones((200, 3))
    assert not lagging(scores, alpha=ALPHA).any()
    assert lagging(scores, alpha=ALPHA, tolerance=0.05).sum() == 2
    assert not lagging(scores[:, :1], alpha=ALPHA).any()
    assert not lagging(scores[:0], alpha=ALPHA).any()
    scores[:, 1] = np.nan
    assert not lagging(scores, alpha=ALPHA)[1]
