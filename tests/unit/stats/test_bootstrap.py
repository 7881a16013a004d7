"""The paired cluster bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rung.stats import bootstrap
from rung.stats.bootstrap import Draws, bca_interval, percentile_interval, resample
from rung.stats.paired import compare


def mean(totals: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.divide(totals[..., 0], n, out=np.full(np.shape(n), np.nan), where=np.asarray(n) > 0)


def draw(values: np.ndarray, groups: list[str] | None = None, draws: int = 4000) -> Draws:
    """values [n, c]: one part each."""
    return resample(values[:, :, None], groups, mean, np.random.default_rng(7), draws=draws)


def test_standard_error_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).random((80, 1))
    theirs = stats.bootstrap((values[:, 0],), np.mean, n_resamples=4000, rng=np.random.default_rng(3))
    ours = draw(values)
    assert ours.point[0] == pytest.approx(values.mean())
    assert ours.draws.std() == pytest.approx(float(theirs.standard_error), rel=0.05)
    assert ours.draws.mean() == pytest.approx(values.mean(), abs=0.003)


def test_candidates_share_their_resamples() -> None:
    first = np.random.default_rng(0).random(60)
    ours = draw(np.stack([first, first, 1 - first], axis=1))
    np.testing.assert_allclose(ours.draws[:, 0], ours.draws[:, 1], rtol=1e-12)
    np.testing.assert_allclose(ours.draws[:, 0], 1 - ours.draws[:, 2], rtol=1e-9)


def test_groups_are_drawn_whole() -> None:
    """Ten copies of every value carry no more than the values themselves."""
    values = np.random.default_rng(0).random((40, 1))
    copies, names = np.repeat(values, 10, axis=0), [f"g{i}" for i in np.repeat(np.arange(40), 10)]
    grouped, single, ignored = draw(copies, names), draw(values), draw(copies)
    assert grouped.units == single.units == 40
    np.testing.assert_allclose(grouped.draws, single.draws)
    assert ignored.draws.std() < 0.4 * grouped.draws.std()


def test_groups_need_not_lie_together_and_the_blank_one_is_none() -> None:
    values = np.arange(6.0)[:, None]
    ours = draw(values, ["a", "", "b", "a", "", "b"])
    assert ours.units == 4
    assert ours.point == 2.5
    assert set(np.unique(ours.draws)) >= {(0 + 3) / 2, 1.0, (2 + 5) / 2, 4.0}
    np.testing.assert_array_equal(draw(values, [""] * 6).draws, draw(values).draws)


def test_rows_without_a_score_are_left_out() -> None:
    values = np.array([[1.0, 0.0], [np.nan, 1.0], [0.0, np.nan], [np.nan, 1.0]])
    ours = draw(values)
    np.testing.assert_allclose(ours.point, [0.5, 2 / 3])
    np.testing.assert_array_equal(ours.units, [2, 3])
    # Some resamples hold neither of the first candidate's two rows: unknown, not 0.
    assert 0 < np.isnan(ours.draws[:, 0]).mean() < 0.15


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((50, 3))
    whole = draw(values, draws=500)
    monkeypatch.setattr(bootstrap, "BLOCK_BYTES", 20_000)
    np.testing.assert_allclose(draw(values, draws=500).draws, whole.draws, rtol=1e-12)


def test_nothing_is_nan() -> None:
    ours = draw(np.zeros((0, 2)), draws=10)
    assert np.isnan(ours.point).all()
    assert np.isnan(ours.draws).all()
    assert (ours.units == 0).all()


def test_misaligned_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit 2 groups"):
        draw(np.zeros((3, 1)), ["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        resample(np.zeros((3, 1)), None, mean, np.random.default_rng(0))


def two_way_ratio(totals: np.ndarray, n: np.ndarray) -> np.ndarray:
    return totals[..., 0] / totals[..., 1]


@pytest.mark.parametrize("seed", [1, 2])
def test_bca_and_percentile_as_in_scipy_for_one_part(seed: int) -> None:
    values = np.random.default_rng(seed).gamma(0.7, size=60)
    drawn = resample(values[:, None, None], None, mean, np.random.default_rng(0), draws=20_000)
    for name, ours in (
        ("percentile", percentile_interval(drawn)),
        ("BCa", bca_interval(values[:, None, None], None, mean, drawn)),
    ):
        theirs = stats.bootstrap(
            (values,), np.mean, method=name, n_resamples=20_000, rng=np.random.default_rng(5)
        ).confidence_interval
        assert ours.low[0] == pytest.approx(theirs.low, abs=0.02)
        assert ours.high[0] == pytest.approx(theirs.high, abs=0.02)
    # Skewed data move the corrected interval to the right by more than the noise of either.
    assert bca_interval(values[:, None, None], None, mean, drawn).high[0] > percentile_interval(drawn).high[0] + 0.02


def test_bca_as_in_scipy_for_many_parts() -> None:
    rng = np.random.default_rng(3)
    parts = np.stack([rng.gamma(1.0, size=50), rng.gamma(4.0, size=50)], axis=1)
    drawn = resample(parts[:, None, :], None, two_way_ratio, np.random.default_rng(0), draws=20_000)
    theirs = stats.bootstrap(
        (parts[:, 0], parts[:, 1]),
        lambda x, y, axis: x.sum(axis=axis) / y.sum(axis=axis),
        paired=True,
        vectorized=True,
        method="BCa",
        n_resamples=20_000,
        rng=np.random.default_rng(5),
    ).confidence_interval
    ours = bca_interval(parts[:, None, :], None, two_way_ratio, drawn, level=0.95)
    assert ours.low[0] == pytest.approx(theirs.low, abs=0.004)
    assert ours.high[0] == pytest.approx(theirs.high, abs=0.004)


def test_intervals_of_groups_are_those_of_their_sums() -> None:
    """Examples that share a group count as one: twice the same rows in a group change nothing."""
    values = np.random.default_rng(0).gamma(0.7, size=(40, 2))
    twice, names = np.repeat(values, 2, axis=0), [f"g{i // 2}" for i in range(80)]
    single, grouped = draw(values), draw(twice, names)
    one = bca_interval(values[:, :, None], None, mean, single)
    other = bca_interval(twice[:, :, None], names, mean, grouped)
    np.testing.assert_allclose(one.low, other.low)
    np.testing.assert_allclose(one.high, other.high)
    # Rows of another candidate do not count, either.
    gaps = np.concatenate([values, np.full((30, 2), np.nan)])
    gaps[40:, 1] = 0.5
    assert bca_interval(gaps[:, :, None], None, mean, draw(gaps)).high[0] == pytest.approx(one.high[0], abs=0.06)


def test_intervals_without_spread_or_examples() -> None:
    ours = draw(np.array([[1.0, np.nan, 1.0], [1.0, np.nan, np.nan], [1.0, np.nan, np.nan]]))
    parts = np.array([[1.0, np.nan, 1.0], [1.0, np.nan, np.nan], [1.0, np.nan, np.nan]])[:, :, None]
    for found in (percentile_interval(ours), bca_interval(parts, None, mean, ours)):
        assert found.low[0] == found.high[0] == 1
        assert np.isnan(found.low[1:]).all()


def test_rows_without_groups_are_worth_themselves() -> None:
    found = draw(np.random.default_rng(0).random((50, 2)).round()).spread()
    np.testing.assert_array_equal(found.units, [50, 50])
    np.testing.assert_array_equal(found.stretched(3.0), found.se)


def test_what_the_rows_of_a_group_are_worth() -> None:
    """Strangers who share a group are worth nearly all of them, copies of one row no more than their group."""
    rng = np.random.default_rng(0)
    strangers, copies = (rng.random(200) < 0.6).astype(float), np.repeat((rng.random(10) < 0.6).astype(float), 20)
    groups = [str(i // 20) for i in range(200)]
    found = draw(np.stack([strangers, copies], axis=1), groups).spread()
    assert 60 < found.units[0] <= 200
    assert found.units[1] == pytest.approx(10)
    for tail in (0.975, 0.999):
        z = stats.norm.ppf(tail)
        assert found.stretched(z) * z == pytest.approx(found.se * stats.t.ppf(tail, 9))


@pytest.mark.parametrize("hang_together", [0.0, 0.2])
def test_intervals_over_few_large_groups_hold_the_truth(hang_together: float) -> None:
    rng, held, runs = np.random.default_rng(5), 0, 150
    for _ in range(runs):
        k = (1 - hang_together) / max(hang_together, 1e-9)
        rates = [np.full(10, p) if not hang_together else rng.beta(p * k, (1 - p) * k, 10) for p in (0.7, 0.5)]
        right = np.stack([(rng.random((10, 20)) < rate[:, None]).ravel() for rate in rates], axis=1).astype(float)
        drawn = resample(right[:, :, None], [str(i // 20) for i in range(200)], mean, rng, draws=400)
        found = compare(drawn)
        held += bool(found.lower[0, 1] <= 0.2 <= found.upper[0, 1])
        assert found.upper[0, 1] - found.lower[0, 1] < 0.9
    assert held >= 0.89 * runs
