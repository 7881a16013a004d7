"""A power law is drawn out to its next doubling, and never beyond the straight line."""

from __future__ import annotations

import numpy as np
import pytest

from rung.stats.learning import extrapolate_doubling, row_draws


def test_a_power_law_is_continued_exactly() -> None:
    scores = 0.9 - 0.4 * 0.5 ** np.arange(5)
    found = extrapolate_doubling(scores[:4], np.tile(scores[:4], (10, 1)))
    assert found.point == pytest.approx(scores[4], abs=0.003)
    assert found.gain == pytest.approx(scores[4] - scores[3], abs=0.003)


@pytest.mark.parametrize(
    ("scores", "gain"),
    [
        ([0.5, 0.6, 0.7, 0.8], 0.1),
        ([0.5, 0.55, 0.65, 0.8], 0.1),
        ([0.8, 0.8, 0.8, 0.8], 0.0),
        ([0.9, 0.8, 0.7, 0.6], 0.0),
    ],
)
def test_a_doubling_gains_at_most_what_a_line_says_and_never_loses(scores: list[float], gain: float) -> None:
    found = extrapolate_doubling(np.array(scores), np.array([scores, scores]))
    assert -1e-9 <= found.gain <= gain + 1e-9
    assert found.low <= found.point <= found.high


def test_no_score_passes_one_and_two_points_are_no_curve() -> None:
    high = np.array([0.7, 0.8, 0.9, 0.999])
    assert extrapolate_doubling(high, high[None]).high <= 1.0
    with pytest.raises(ValueError, match="three"):
        extrapolate_doubling(high[:2], high[None, :2])


def test_resamples_take_units_whole() -> None:
    scores = np.repeat(np.array([[0.0], [1.0]]), 50, axis=0)
    alone = row_draws(scores, np.arange(100))
    whole = row_draws(scores, np.repeat([0, 1], 50))
    assert set(np.unique(whole)) == {0.0, 0.5, 1.0}
    assert alone.std() == pytest.approx(0.05, rel=0.15)
