"""How far two samples lie apart, and how sure that is: measures and tests for numbers, shares and kinds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rung.stats.intervals import wilson

Floats = NDArray[np.float64]
_BINS = 10
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True, slots=True)
class Shift:
    """How a number has moved. nan where a side has no values."""

    before: float
    now: float
    """Medians."""
    psi: float
    p: float
    """Two-sided test of Kolmogorov and Smirnov; where values are equal to each other it errs on the quiet side."""


def shift(before: Floats, now: Floats) -> Shift:
    """before [n], now [m]."""
    if not len(before) or not len(now):
        return Shift(math.nan, math.nan, math.nan, math.nan)
    p = float(stats.ks_2samp(before, now, method="asymp").pvalue)
    return Shift(float(np.median(before)), float(np.median(now)), stability_index(before, now), p)


def stability_index(before: Floats, now: Floats) -> float:
    """Population stability index: the sum over bins of (q - p) ln(q / p), the symmetrised Kullback-Leibler divergence.

    Bins are the tenths of `before`; half an observation is added to each, so that an empty bin is not infinite. By custom
    (Siddiqi 2006, Credit Risk Scorecards) below 0.1 is little and from 0.25 on much.
    """
    edges = np.unique(np.quantile(before, np.linspace(0, 1, _BINS + 1)[1:-1]))
    first, second = (
        np.bincount(np.searchsorted(edges, side, side="left"), minlength=len(edges) + 1) for side in (before, now)
    )
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (first, second))
    return float(((q - p) * np.log(q / p)).sum())


def divergence(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Jensen-Shannon divergence of two lists of counts in bits (Lin 1991): 0 for equal shares, 1 for nothing in common."""
    names = sorted({*before, *now})
    p, q = (np.array([counts.get(name, 0) for name in names], dtype=np.float64) for counts in (before, now))
    if not p.sum() or not q.sum():
        return math.nan
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(side > 0, side * np.log2(side / middle), 0.0).sum() for side in (p, q)]
    return float(sum(parts) / 2)


@dataclass(frozen=True, slots=True)
class Change:
    """How a share has changed, with the 95 % interval of the difference. nan where a side has no observations."""

    before: float
    now: float
    low: float
    high: float
    p: float
    """Fisher's exact test, two-sided."""


def change(hits_before: int, n_before: int, hits_now: int, n_now: int) -> Change:
    """The interval puts two Wilson intervals together (Newcombe 1998, method 10)."""
    if not n_before or not n_now:
        return Change(math.nan, math.nan, math.nan, math.nan, math.nan)
    p, q = hits_before / n_before, hits_now / n_now
    first, second = wilson(hits_before, n_before), wilson(hits_now, n_now)
    low = q - p - math.hypot(q - second.low, first.high - p)
    high = q - p + math.hypot(second.high - q, p - first.low)
    table = np.array([[hits_before, n_before - hits_before], [hits_now, n_now - hits_now]])
    return Change(p, q, low, high, float(stats.fisher_exact(table).pvalue))


def exceedance(beyond: int, n: int, rank: int, reference: int) -> float:
    """p value of so many of n new values lying beyond the rank-th most extreme of `reference` earlier ones.

    Where all come from one continuous distribution, whatever it is, their number is beta-binomial with parameters rank and
    reference - rank + 1 (Gumbel and von Schelling 1950, The distribution of the number of exceedances). One-sided.
    """
    if not 1 <= rank <= reference or not n:
        return math.nan
    return float(stats.betabinom.sf(beyond - 1, n, rank, reference - rank + 1))


def kinds_test(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """p value of "both have the same shares of kinds", by Pearson's chi-squared. Rare kinds are counted as one; nan if that
    leaves fewer than two."""
    n, m = sum(before.values()), sum(now.values())
    if not n or not m:
        return math.nan
    smaller = min(n, m) / (n + m)
    common = [name for name in {*before, *now} if (before.get(name, 0) + now.get(name, 0)) * smaller >= _LEAST_EXPECTED]
    table = np.array([[side.get(name, 0) for name in common] for side in (before, now)], dtype=np.float64)
    rest = np.array([[n], [m]]) - table.sum(axis=1, keepdims=True)
    if rest.sum() * smaller >= _LEAST_EXPECTED:
        table = np.hstack([table, rest])
    if table.shape[1] < 2:
        return math.nan
    return float(stats.chi2_contingency(table, correction=False).pvalue)
