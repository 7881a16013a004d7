"""Bounds on means of streams that hold at every moment at once, for traffic: look whenever you like, and stop when you like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rung.stats.intervals import Bounds, Floats

Verdict = Literal["better", "worse", "alike", "open"]
_STAKES: Floats = np.geomspace(0.004, 0.9, 16)
"""Values of lambda that are mixed: small ones for long streams, large ones for short."""
_COSTS: Floats = -np.log1p(-_STAKES) - _STAKES
_STEPS = 12


@dataclass(frozen=True, slots=True)
class AnytimeTest:
    """A difference of two means as far as it is known now."""

    first: int
    """Values seen of the first, and of the second."""
    second: int
    difference: float
    """First less second; nan before both have been seen."""
    low: float
    high: float
    verdict: Verdict
    """better: shown to be larger. worse: shown to be smaller. alike: shown to differ by less than the margin."""


def mean_bounds(
    values: Floats, *, alpha: float, lowest: float = 0.0, highest: float = 1.0, last: bool = False
) -> Bounds:
    """Lower and upper bound [t] of the mean after each of t values; [1], after the last, with `last`.

    With probability 1 - alpha they hold at all t at once, so that whoever looks after every value, and stops by what he sees, errs no
    more often. What is bounded is the average of the values' expectations so far, each given the past: it need not stay the same
    from day to day. Empirical Bernstein confidence sequence of Howard, Ramdas, McAuliffe and Sekhon (2021), Time-uniform,
    nonparametric, nonasymptotic confidence sequences, theorem 4, with a discrete mixture as the boundary (their section 3.2 and
    appendix); its supermartingale is that of Fan, Grama and Liu (2015), lemma 4.1. No values: empty. Raises ValueError for values
    outside `lowest` and `highest`.
    """
    if values.ndim != 1 or not np.isfinite(values).all() or ((values < lowest) | (values > highest)).any():
        raise ValueError(f"values must be a row of numbers from {lowest} to {highest}")
    n = np.arange(1, len(values) + 1)
    x = (values - lowest) / (highest - lowest)
    total = np.cumsum(x)
    # Each value's guess may know only what came before it.
    guesses = (total - x + 0.5) / n
    spread = np.cumsum(np.square(x - guesses))
    if last:
        n, total, spread = n[-1:], total[-1:], spread[-1:]
    reach = _boundary(spread, alpha / 2) / n
    low, high = (np.clip(total / n + side, 0.0, 1.0) * (highest - lowest) + lowest for side in (-reach, reach))
    return Bounds(low, high)


def paired_test(differences: Floats, *, alpha: float = 0.05, margin: float = 0.0) -> AnytimeTest:
    """Whether pairs differ, from differences (first less second, -1 to 1) in the order in which they came; of a shadow, say."""
    if not len(differences):
        return AnytimeTest(0, 0, math.nan, -1.0, 1.0, "open")
    bounds = mean_bounds(differences, alpha=alpha, lowest=-1.0, highest=1.0, last=True)
    n = len(differences)
    return _told(n, n, float(differences.mean()), float(bounds.low[-1]), float(bounds.high[-1]), margin)


def two_sample_test(first: Floats, second: Floats, *, alpha: float = 0.05, margin: float = 0.0) -> AnytimeTest:
    """Whether two streams of values from 0 to 1 differ, each in its own order; of a canary and the champion, say.

    Each stream has bounds at alpha / 2, so that both hold at all times together, however unevenly the streams grow.
    """
    if not len(first) or not len(second):
        return AnytimeTest(len(first), len(second), math.nan, -1.0, 1.0, "open")
    one, other = (mean_bounds(values, alpha=alpha / 2, last=True) for values in (first, second))
    low, high = float(one.low[-1] - other.high[-1]), float(one.high[-1] - other.low[-1])
    return _told(len(first), len(second), float(first.mean() - second.mean()), low, high, margin)


def _told(first: int, second: int, difference: float, low: float, high: float, margin: float) -> AnytimeTest:
    verdict: Verdict = "open"
    if low > 0:
        verdict = "better"
    elif high < 0:
        verdict = "worse"
    elif -margin < low and high < margin:
        verdict = "alike"
    return AnytimeTest(first, second, difference, low, high, verdict)


def _boundary(spread: Floats, alpha: float) -> Floats:
    """[t]: the smallest u with mean(exp(stake u - cost(stake) spread)) = 1 / alpha, over the stakes."""
    wanted = math.log(len(_STAKES) / alpha)
    costs = np.multiply.outer(spread, _COSTS)
    # One stake alone reaches it here, so that the mixture does no later; it is convex, so Newton's steps come down from there.
    reach: Floats = np.min((wanted + costs) / _STAKES, axis=1)
    for _ in range(_STEPS):
        powers = np.multiply.outer(reach, _STAKES) - costs
        most = powers.max(axis=1, keepdims=True)
        capital = np.exp(powers - most)
        total = capital.sum(axis=1)
        reach = reach - (most[:, 0] + np.log(total) - wanted) * total / (capital @ _STAKES)
    return reach
