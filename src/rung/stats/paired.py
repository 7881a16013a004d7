"""Candidates compared on the same examples: simultaneous bounds, a bound against a target, and two exact tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from rung.stats.bootstrap import DRAWS, Aggregate, Draws, blocks, guarded_interval, stretched, sum_clusters
from rung.stats.intervals import (
    Bounds,
    Floats,
    difference_bounds,
    pseudo_examples,
    two_sided_z,
)

# Below this, a spread is rounding in the matrix product and not a difference between candidates.
_ROUNDING = 1e-12
_FEW_GROUPS = 10
"""Below this many groups, how alike the rows of a group are cannot be told: a target is held against the groups alone."""


@dataclass(frozen=True)
class PairwiseBounds:
    """Every candidate against every other; entry [i, j] is about candidate i minus candidate j, the diagonal is 0."""

    difference: Floats
    """[c, c]"""
    lower: Floats
    """[c, c]; all of them hold at once at the stated level."""
    upper: Floats
    """[c, c]"""
    se: Floats
    """[c, c]: bootstrap standard error of each difference, wider where the groups are few."""
    units: Floats
    """[c, c]: independent examples behind each difference, or what groups are worth (`bootstrap.Spread`)."""
    critical: float
    """Standard errors on either side that make the intervals simultaneous."""
    marginal: Bounds
    """[c]: each candidate's own interval, at the same level, not simultaneous."""

    def worst(self, i: int) -> float:
        """Lower bound of candidate i minus the best of the others; nan without others."""
        others = np.delete(self.lower[i], i)
        return float(others.min()) if others.size else math.nan


def compare(drawn: Draws, *, level: float = 0.95, lowest: float = 0.0, highest: float = 1.0) -> PairwiseBounds:
    """Simultaneous intervals for all ordered pairs: single-step max-t over the paired bootstrap, guarded.

    The critical value is the `level` quantile, over resamples, of the largest |difference* - difference| / se of all
    pairs (Westfall and Young 1993, chapter 2; Romano and Wolf 2005 for the bootstrap form), and at least the normal
    quantile of one pair. The bounds are those of `difference_bounds`: three wins in three examples leave the difference
    open, and identical scores have a difference of exactly 0 whose bounds narrow as the rule of three. The se that t
    divides by holds `pseudo_examples` that went the other way; without them one example on which a pair differs would
    set the critical value for all. A pair that never differs has no t, so such pairs share a Bonferroni quantile
    instead, where that is larger.

    `lowest` and `highest`: what a single example can score. One unit or no scored rows: nan. For a metric where lower
    is better, turn the signs of `point` and `draws` first.
    """
    c, span = len(drawn.point), highest - lowest
    spreads = [drawn.spread_against(i) for i in range(c)]
    se, units, freedom = (np.stack([getattr(s, name) for s in spreads]) for name in ("se", "units", "freedom"))
    difference = np.subtract.outer(drawn.point, drawn.point)
    pairs = np.triu(np.ones((c, c), dtype=bool), 1)
    difference[np.abs(difference) <= _ROUNDING * span] = 0.0
    still = se <= _ROUNDING * span
    se[still] = 0.0
    alone = two_sided_z(level)
    with np.errstate(divide="ignore"):
        guarded_se = np.sqrt(se * se + pseudo_examples(alone) * np.square(span / units))
    critical = max(alone, _max_t_quantile(drawn, guarded_se, level))
    z = np.full((c, c), critical)
    if frozen := int((still & pairs).sum()):
        z[still] = max(critical, float(-special.ndtri((1 - level) / 2 / frozen)))
    se = stretched(se, freedom, z)
    bounds = difference_bounds(difference, se, units, z, span=span)
    for matrix in (difference, bounds.low, bounds.high):
        np.fill_diagonal(matrix, 0.0)
    marginal = guarded_interval(drawn, level=level, lowest=lowest, highest=highest)
    return PairwiseBounds(difference, bounds.low, bounds.high, se, units, critical, marginal)


def _max_t_quantile(drawn: Draws, se: Floats, level: float) -> float:
    """The `level` quantile over draws of max |t| over pairs; a draw counts for the pairs that it knows."""
    largest = np.zeros(len(drawn.draws))
    centred = drawn.draws - drawn.point
    for i in range(len(drawn.point)):
        t = np.abs(centred[:, i + 1 :] - centred[:, [i]]) / se[i, i + 1 :]
        largest = np.fmax(largest, np.fmax.reduce(t, axis=1, initial=0.0))
    return float(np.quantile(largest, level))


def lower_bounds(drawn: Draws, *, alpha: float, lowest: float = 0.0, highest: float = 1.0) -> Floats:
    """One-sided 1 - alpha lower bound of each candidate alone [c], to be held against a target.

    The bound of Clopper and Pearson (1934) at the effective number of examples, p (1 - p) / se^2 with p the point scaled
    to 0..1 and the bootstrap's se (Korn and Graubard 1998). For a share of independent examples that is the exact bound,
    which fails no more often than stated; with groups, or for a metric that is no share, the se says how many
    independent right-or-wrong answers the examples are worth. Never above the bound after no exception among `units`.
    `alpha` is this candidate's share of the error that all openings of the test set may make. One unit or none: nan.
    """
    found, span = drawn.spread(), highest - lowest
    se, units = found.stretched(float(-special.ndtri(alpha))), found.units
    p = np.clip((drawn.point - lowest) / span, 0.0, 1.0)
    worth = p * (1 - p) * np.square(span / np.fmax(se, 1e-6 * span))
    with np.errstate(divide="ignore"):
        unseen = p * alpha ** (1 / units)
    # A share of independent examples is worth exactly `units`; the bootstrap's own error must not make it more.
    noise = 1 + 5 * math.sqrt(2 / len(drawn.draws))
    worth = np.where((p == 1) | ((worth >= units) & (worth <= noise * units)), units, worth)
    # What groups are worth is itself uncertain, and most of all where they are few and nearly all right.
    groups = found.freedom + 1
    worth = np.where(np.isfinite(groups), np.fmin(worth, np.where(groups < _FEW_GROUPS, groups, units)), worth)
    right, wrong = p * worth, (1 - p) * worth
    bound = np.where(right > 0, special.betaincinv(np.fmax(right, 1e-9), wrong + 1, alpha), 0.0)
    return np.where(np.isfinite(se), lowest + span * np.minimum(bound, unseen), np.nan)


@dataclass(frozen=True, slots=True)
class McNemar:
    """Two candidates' right and wrong answers on the same examples; p values are two-sided, nan without examples."""

    only_first: int
    only_second: int
    exact: float
    mid_p: float


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemar:
    """The exact test of McNemar (1947) and its mid-p form (Fagerland, Lydersen and Laake 2013), which is less timid.

    first, second [n]: whether each candidate got example i right. Raises ValueError where they are not aligned. It
    takes examples as independent: with groups, use `permutation_test`.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"{first.shape} and {second.shape} are not aligned")
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    if not first.size:
        return McNemar(0, 0, math.nan, math.nan)
    both_tails = 2 * float(stats.binom.cdf(min(b, c), b + c, 0.5))
    at = float(stats.binom.pmf(min(b, c), b + c, 0.5))
    return McNemar(b, c, min(1.0, both_tails), min(1.0, both_tails - at))


def permutation_test(
    parts: Floats,
    groups: Sequence[str] | None,
    aggregate: Aggregate,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
) -> float:
    """p value for "it makes no difference who answered": two candidates' rows are swapped, whole groups at a time.

    Fisher's randomisation test (1935, section 21). parts [n, 2, p] and the other arguments as for `bootstrap.resample`.
    `alternative`: 'greater' asks whether the first candidate's metric is the larger one. Where the groups allow at most
    `draws` arrangements, all of them are counted and p is exact; beyond, the one observed counts as one of those drawn,
    so that p is never 0 (Phipson and Smyth 2010). No scored rows: nan. Raises ValueError for misaligned arguments.
    """
    if parts.ndim != 3 or parts.shape[1] != 2:
        raise ValueError(f"a permutation test is between two candidates, not parts of shape {parts.shape}")
    sums = sum_clusters(parts, groups)
    p = parts.shape[2]
    # Totals and counts side by side: [g, 2, p + 1].
    both = np.concatenate([sums.totals.reshape(-1, 2, p), sums.counts[:, :, None]], axis=2)
    change, whole = both[:, 0] - both[:, 1], both.sum(axis=0)

    def gap(first: Floats) -> Floats:
        second = whole.sum(axis=0) - first
        found: Floats = aggregate(first[..., :p], first[..., p]) - aggregate(second[..., :p], second[..., p])
        return np.abs(found) if alternative == "two-sided" else found if alternative == "greater" else -found

    observed = float(gap(whole[0]))
    if math.isnan(observed):
        return math.nan
    g = len(both)
    exact = g < 63 and 2**g <= draws
    total, extreme = 2**g if exact else draws, 0
    for block in blocks(total, bytes_each=8 * (2 * g + 6 * (p + 1))):
        if exact:
            kept = (np.arange(block.start, block.stop)[:, None] >> np.arange(g) & 1).astype(np.float64)
        else:
            kept = rng.integers(0, 2, size=(block.stop - block.start, g)).astype(np.float64)
        extreme += int((gap(whole[1] + kept @ change) >= observed - _ROUNDING).sum())
    return extreme / total if exact else (extreme + 1) / (total + 1)
