"""Shares before and after on the same questions, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.core.hashing import seed_from
from rung.experiment.evaluate import number
from rung.stats.bootstrap import guarded_interval, resample
from rung.stats.intervals import wilson
from rung.stats.paired import compare
from rung.stats.power import smallest_gap
from rung.store.aftermath import Change
from rung.store.records import Interval

_DRAWS = 4_000
Marks = Sequence[bool | None]
"""Right or wrong, or None where no answer came."""
Floats = NDArray[np.float64]


def mean_of_parts(totals: Floats, n: Floats) -> Floats:
    """The aggregate of a plain mean: totals [..., 1] over n [...]; nan without any."""
    found: Floats = np.full(np.shape(n), np.nan)
    np.divide(totals[..., 0], n, out=found, where=np.asarray(n) > 0)
    return found


def share(hits: int, n: int) -> Interval:
    """A share with its Wilson interval; unknown without any."""
    if not n:
        return Interval(point=None)
    found = wilson(hits, n)
    return Interval(point=hits / n, low=found.low, high=found.high)


def changed(name: str, before: Marks, after: Marks, seed: int) -> Change:
    """Two models' marks on the same questions; a question that either did not answer is counted apart."""
    known = [(one, other) for one, other in zip(before, after, strict=True) if one is not None and other is not None]
    n = len(known)
    hits = [sum(pair[side] for pair in known) for side in (0, 1)]
    return Change(
        name=name,
        n=n,
        failed=len(before) - n,
        before=share(hits[0], n),
        after=share(hits[1], n),
        change=_paired(np.array(known, dtype=np.float64).reshape(n, 2), name, seed),
        gained=sum(other and not one for one, other in known),
        lost=sum(one and not other for one, other in known),
    )


def _paired(marks: Floats, name: str, seed: int) -> Interval:
    """Column 1 less column 0 of [n, 2]; without an interval below two questions."""
    if not len(marks):
        return Interval(point=None)
    rng = np.random.default_rng(seed_from(seed, "aftermath", name))
    found = compare(resample(marks[:, :, None], None, mean_of_parts, rng, draws=_DRAWS))
    return Interval(point=number(found.difference[1, 0]), low=number(found.lower[1, 0]), high=number(found.upper[1, 0]))


def smallest_loss(found: Change, margin: float) -> float | None:
    """The smallest loss that as many questions, as unlike each other, show to lie beyond the margin with 80 % power."""
    if found.n < 2 or found.change.point is None:
        return None
    variance = (found.gained + found.lost) / found.n - found.change.point**2
    return number(min(1.0, margin + smallest_gap(found.n, variance)))


def mean_interval(values: Sequence[float], name: str, seed: int, *, highest: float) -> Interval:
    """A mean of values between 0 and `highest`, 95 %."""
    if not values:
        return Interval(point=None)
    rng = np.random.default_rng(seed_from(seed, "aftermath", name))
    drawn = resample(np.array(values)[:, None, None], None, mean_of_parts, rng, draws=_DRAWS)
    bounds = guarded_interval(drawn, highest=highest)
    return Interval(point=number(drawn.point[0]), low=number(bounds.low[0]), high=number(bounds.high[0]))
