"""How many examples a decision needs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower

from rung.stats.bootstrap import resample
from rung.stats.paired import compare
from rung.stats.power import examples_needed, paired_variance, smallest_gap


def test_large_samples_need_what_statsmodels_says() -> None:
    gap, variance = 0.01, 0.25
    # ratio=0: one sample, of paired differences; the far tail is negligible here.
    theirs = NormalIndPower().solve_power(gap / math.sqrt(variance), alpha=0.05, power=0.8, ratio=0)
    assert examples_needed(gap, variance) == pytest.approx(theirs, rel=0.02)
    assert smallest_gap(theirs, variance) == pytest.approx(gap, rel=0.01)


def test_without_variance_it_is_the_rule_of_three() -> None:
    assert examples_needed(0.02, 0.0) == pytest.approx(-math.log(0.025) / 0.02, rel=0.01)


@pytest.mark.parametrize("gap", [0.3, 0.05, 0.011])
@pytest.mark.parametrize("variance", [0.0, 0.04, 1.0])
def test_the_two_answers_agree(gap: float, variance: float) -> None:
    n = examples_needed(gap, variance, critical=3.2)
    assert smallest_gap(n, variance, critical=3.2) <= gap < smallest_gap(n - 1, variance, critical=3.2)


def test_what_cannot_be_known_or_reached() -> None:
    assert math.isnan(smallest_gap(0, 0.1))
    assert math.isnan(smallest_gap(100, math.nan))
    assert math.isnan(examples_needed(math.nan, 0.1))
    assert examples_needed(0.0, 0.1) == examples_needed(-0.01, 0.1) == math.inf


def test_the_promised_power_is_reached() -> None:
    """A candidate ahead by 0.1 is found ahead in about 80 % of test sets of the size that is asked for."""
    rng = np.random.default_rng(3)
    wins, losses = 0.2, 0.1
    variance = wins + losses - (wins - losses) ** 2
    n = int(examples_needed(wins - losses, variance))
    found = 0
    for _ in range(300):
        kind = rng.choice(3, size=n, p=[wins, losses, 1 - wins - losses])
        values = np.stack([kind != 1, kind != 0], axis=1).astype(float)[:, :, None]
        drawn = resample(values, None, lambda totals, count: totals[..., 0] / count, rng, draws=300)
        found += compare(drawn).worst(0) > 0
    assert found / 300 == pytest.approx(0.8, abs=0.07)


def test_variance_from_a_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=500)
    assert paired_variance(float(values.std()) / math.sqrt(500), 500) == pytest.approx(values.var())
