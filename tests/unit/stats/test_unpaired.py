"""The difference of two separate samples: known values, both ends open where little is known, and honest coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rung.stats.bootstrap import Draws, resample
from rung.stats.unpaired import unpaired_gap


def drawn(marks: np.ndarray, groups: list[str] | None = None) -> Draws:
    def mean(totals: np.ndarray, n: np.ndarray) -> np.ndarray:
        return np.divide(totals[..., 0], n, out=np.full(np.shape(n), np.nan), where=n > 0)

    return resample(marks[:, None, None].astype(float), groups, mean, np.random.default_rng(0), draws=800)


def marks(right: int, n: int) -> np.ndarray:
    return np.arange(n) < right


def test_a_large_gap_between_large_samples_is_found() -> None:
    gap = unpaired_gap(drawn(marks(95, 100)), drawn(marks(60, 100)))
    assert gap.point == pytest.approx(0.35)
    # Newcombe's own interval for 95/100 against 60/100 is 0.237 to 0.454.
    assert gap.low == pytest.approx(0.237, abs=0.02)
    assert gap.high == pytest.approx(0.454, abs=0.02)


def test_three_against_three_is_no_proof() -> None:
    gap = unpaired_gap(drawn(marks(3, 3)), drawn(marks(0, 3)))
    assert gap.point == 1.0
    assert gap.low < 0.5


def test_the_order_turns_the_sign() -> None:
    one, other = drawn(marks(40, 50)), drawn(marks(20, 50))
    gap, back = unpaired_gap(one, other), unpaired_gap(other, one)
    assert (back.point, back.low, back.high) == pytest.approx((-gap.point, -gap.high, -gap.low))


def test_one_example_says_nothing() -> None:
    assert math.isnan(unpaired_gap(drawn(marks(1, 1)), drawn(marks(20, 50))).low)


def test_several_candidates_at_once_are_refused() -> None:
    both = resample(np.zeros((4, 2, 1)), None, lambda totals, n: totals[..., 0] / n, np.random.default_rng(0))
    with pytest.raises(ValueError, match="one candidate"):
        unpaired_gap(both, both)


@pytest.mark.parametrize(("share", "n", "m"), [(0.95, 40, 30), (0.8, 150, 150), (0.5, 40, 100), (0.99, 100, 32)])
def test_without_a_difference_an_alarm_is_rare(share: float, n: int, m: int) -> None:
    """How often the interval lies above 0 although both samples come from one distribution; 2.5 % is what it promises."""
    rng = np.random.default_rng(7)
    alarms = sum(unpaired_gap(drawn(rng.random(n) < share), drawn(rng.random(m) < share)).low > 0 for _ in range(400))
    assert alarms <= 400 * 0.05
