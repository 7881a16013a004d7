"""Many hypotheses at once: p values adjusted so that the whole family errs as seldom as a single test would."""

from __future__ import annotations

import numpy as np

from rung.stats.intervals import Floats


def holm(p_values: Floats) -> Floats:
    """[m]: p values after Holm's step-down adjustment (Holm 1979); reject those at or below the family's alpha.

    The k-th smallest of m is multiplied by m - k + 1, is at least as large as the ones before it, and at most 1. It holds
    whatever the dependence between tests. nan: not tested; stays nan and does not count. Raises ValueError for values
    outside [0, 1].
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p_values))
    if ((p_values[known] < 0) | (p_values[known] > 1)).any():
        raise ValueError("p values lie between 0 and 1")
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted = np.full(p_values.shape, np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted
