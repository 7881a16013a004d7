"""Adjusted p values."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from rung.stats.multiple import holm


@pytest.mark.parametrize("seed", range(4))
def test_as_in_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).random(9) ** 3
    p[3] = p[5]
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_what_was_not_tested_does_not_count() -> None:
    found = holm(np.array([0.02, np.nan, 0.01, 0.9]))
    np.testing.assert_allclose(found, [0.04, np.nan, 0.03, 0.9])
    assert holm(np.array([])).shape == (0,)
    assert np.isnan(holm(np.array([np.nan]))).all()


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm(np.array([0.5, 1.2]))
