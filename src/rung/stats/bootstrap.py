"""The paired cluster bootstrap: every candidate's metric on the same resamples of the test set, and what is read off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rung.stats.intervals import Bounds, Floats, guarded_bounds, standard_error, two_sided_z

Aggregate = Callable[[Floats, Floats], Floats]
"""`Metric.aggregate`: (totals [..., p], n [...]) -> [...]"""

DRAWS = 10_000
LOOSE = 1_000
BLOCK_BYTES = 16 << 20


@dataclass(frozen=True)
class Draws:
    """c candidates' metric, as observed and on B resamples that they share."""

    point: Floats
    """[c]"""
    draws: Floats
    """[B, c]; nan where a resample holds no scored row of a candidate."""
    units: Floats
    """[c]: independent groups with at least one scored row."""
    examples: Floats | None = None
    """[c]: scored rows, where some of them share a group."""
    loose: Floats | None = None
    """[LOOSE, c]: draws that break the groups up, where there are any: what they are worth is read off the difference."""

    def spread(self, of: Callable[[Floats], Floats] = lambda draws: draws) -> Spread:
        """Standard error of `of(draws)`, one of its columns for each candidate, and what the examples are worth for it."""
        return self._spread(of, self.units, self.examples)

    def spread_against(self, i: int) -> Spread:
        """The same for every candidate minus candidate i, over what both have."""
        examples = None if self.examples is None else np.minimum(self.examples, self.examples[i])
        return self._spread(lambda draws: draws - draws[:, [i]], np.minimum(self.units, self.units[i]), examples)

    def _spread(self, of: Callable[[Floats], Floats], units: Floats, examples: Floats | None) -> Spread:
        se = standard_error(of(self.draws), units)
        if self.loose is None or examples is None:
            return Spread(se, units, np.full_like(se, np.inf))
        shared = units < examples
        freedom = np.where(shared, np.fmax(units - 1, 1), np.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Few groups say little about how alike their rows are: the variance between them at its upper 95 % bound.
            doubt = np.where(shared, freedom / special.chdtri(freedom, 0.95), 1.0)
            worth = examples * np.square(standard_error(of(self.loose), examples) / se) / doubt
        known = shared & np.isfinite(worth) & (worth > 0)
        return Spread(se, np.where(known, np.clip(worth, units, examples), units), freedom)


@dataclass(frozen=True)
class Spread:
    """How sure some statistics are. A statistic of few groups is less sure than its standard error says."""

    se: Floats
    """[c]: bootstrap standard error, over groups."""
    units: Floats
    """[c]: independent examples that the groups are worth: the rows over their design effect (Kish 1965), between the number of
    groups and the number of rows. A group of rows that differ like strangers is worth all of them."""
    freedom: Floats
    """[c]: degrees of freedom of `se`, one less than there are groups; infinite where every row is a group of its own."""

    def stretched(self, z: float | Floats) -> Floats:
        """`se` times how much further out t lies than the normal at the tail of z (Korn and Graubard 1998). Broadcasts."""
        return stretched(self.se, self.freedom, z)


def stretched(se: Floats, freedom: Floats, z: float | Floats) -> Floats:
    """Standard errors for bounds z of them away, with t of `freedom` degrees in place of the normal. All broadcast."""
    far = np.fmax(np.asarray(z, dtype=np.float64), 0.5)
    known = np.where(np.isfinite(freedom), freedom, 1.0)
    ratio = -special.stdtrit(known, special.ndtr(-far)) / far
    out: Floats = se * np.where(np.isfinite(freedom), ratio, 1.0)
    return out


@dataclass(frozen=True)
class ClusterSums:
    """Parts and counts of scored rows, summed within each of g groups."""

    totals: Floats
    """[g, c * p]"""
    counts: Floats
    """[g, c]"""


def resample(
    parts: Floats,
    groups: Sequence[str] | None,
    aggregate: Aggregate,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> Draws:
    """Draw whole groups with replacement, as many as there are, and aggregate each resample for all candidates.

    The bootstrap of Efron (1979), over clusters as in Davison and Hinkley (1997), section 3.8.

    parts [n, c, p]: sufficient statistics of n aligned examples, c candidates; a row with nan is not scored, and its
    candidate is aggregated over the rows that it has. groups [n]: examples that share a name are drawn together; ''
    is a group of its own, as is every example where `groups` is None. Additive parts make a block of resamples one
    matrix product, so memory stays bounded beyond one copy of `parts`. The same generator gives the same draws,
    whatever the block.

    Raises ValueError where the shapes do not fit. No examples: nan.
    """
    sums = sum_clusters(parts, groups)
    c, p = parts.shape[1:]
    g = len(sums.counts)
    units = (sums.counts > 0).sum(axis=0).astype(np.float64)
    point = aggregate(sums.totals.sum(axis=0).reshape(c, p), sums.counts.sum(axis=0))
    out = np.full((draws, c), np.nan)
    if g:
        for block in blocks(draws, bytes_each=8 * (3 * g + 2 * c * (p + 1))):
            weights = _weights(rng, block.stop - block.start, g)
            totals = (weights @ sums.totals).reshape(-1, c, p)
            out[block] = aggregate(totals, weights @ sums.counts)
    point = np.asarray(point, dtype=np.float64)
    if g == len(parts):
        return Draws(point, out, units)
    loose = resample(parts, None, aggregate, rng.spawn(1)[0], draws=min(draws, LOOSE))
    return Draws(point, out, units, loose.units, loose.draws)


def sum_clusters(parts: Floats, groups: Sequence[str] | None) -> ClusterSums:
    """Sums within groups, in the order in which they first appear; arguments and errors are those of `resample`."""
    if parts.ndim != 3 or (groups is not None and len(groups) != len(parts)):
        raise ValueError(f"parts of shape {parts.shape} do not fit {None if groups is None else len(groups)} groups")
    n, c, p = parts.shape
    known = np.asarray(~np.isnan(parts).any(axis=2))
    totals = np.where(known[:, :, None], parts, 0.0).reshape(n, c * p)
    counts = known.astype(np.float64)
    if groups is None or not any(groups):
        return ClusterSums(totals, counts)
    cluster: dict[str, int] = {}
    # An example without a group is numbered by its own row, as a group is by its first one.
    members = np.array([cluster.setdefault(group, row) if group else row for row, group in enumerate(groups)])
    order = np.argsort(members, kind="stable")
    starts = np.flatnonzero(np.diff(members[order], prepend=-1))
    return ClusterSums(np.add.reduceat(totals[order], starts, axis=0), np.add.reduceat(counts[order], starts, axis=0))


def guarded_interval(drawn: Draws, *, level: float = 0.95, lowest: float = 0.0, highest: float = 1.0) -> Bounds:
    """[c]: point and bootstrap standard error, guarded as `intervals.guarded_bounds` says.

    `lowest` and `highest`: what a single example can score. Fewer than two units: nan.
    """
    found, z = drawn.spread(), two_sided_z(level)
    return guarded_bounds(drawn.point, found.stretched(z), found.units, z, lowest=lowest, highest=highest)


def percentile_interval(drawn: Draws, *, level: float = 0.95) -> Bounds:
    """[c]: the quantiles of the draws that leave (1 - level) / 2 on either side (Efron and Tibshirani 1993, chapter 13).

    It knows nothing beyond the examples: three right answers out of three give [1, 1]. A verdict wants
    `guarded_interval`. Fewer than two units: nan.
    """
    tails = np.full(drawn.point.shape, (1 - level) / 2)
    return _quantiles(drawn, tails, 1 - tails)


def bca_interval(
    parts: Floats, groups: Sequence[str] | None, aggregate: Aggregate, drawn: Draws, *, level: float = 0.95
) -> Bounds:
    """[c]: percentile interval corrected for bias and acceleration (Efron 1987; Davison and Hinkley 1997, section 5.3.2).

    `drawn` is what `resample` made of the same parts, groups and aggregate. The bias correction is the normal quantile
    of the share of draws below the point (ties count half); the acceleration is the skewness of the jackknife that
    leaves out one group at a time, sum d^3 / (6 (sum d^2)^1.5), over groups with a scored row. Degenerate draws give a
    degenerate interval, as in `percentile_interval`. Fewer than two units: nan.
    """
    close = np.isclose(drawn.draws, drawn.point, rtol=1e-12, atol=1e-12)
    known = np.isfinite(drawn.draws)
    below = (known & ~close & (drawn.draws < drawn.point)).sum(axis=0) + close.sum(axis=0) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = special.ndtri(below / known.sum(axis=0))
    acceleration = _acceleration(sum_clusters(parts, groups), parts.shape[2], aggregate)

    def tail(z: float) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            shifted: Floats = special.ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
        # All draws on one side of the point leave nothing to correct by.
        return np.where(np.isfinite(bias), shifted, special.ndtr(z))

    z = float(special.ndtri((1 - level) / 2))
    return _quantiles(drawn, tail(z), tail(-z))


def _acceleration(sums: ClusterSums, p: int, aggregate: Aggregate) -> Floats:
    """[c]: from the delete-one-group jackknife; 0 where no group moves the statistic."""
    g, c = sums.counts.shape
    left_out = np.full((g, c), np.nan)
    for block in blocks(g, bytes_each=8 * 3 * c * (p + 1)):
        totals = (sums.totals.sum(axis=0) - sums.totals[block]).reshape(-1, c, p)
        left_out[block] = aggregate(totals, sums.counts.sum(axis=0) - sums.counts[block])
    used = (sums.counts > 0) & np.isfinite(left_out)
    value = np.where(used, left_out, 0.0)
    change = np.where(used, value.sum(axis=0) / np.maximum(used.sum(axis=0), 1) - value, 0.0)
    square = np.square(change).sum(axis=0)
    out: Floats = np.zeros(c)
    np.divide((change**3).sum(axis=0), 6 * square**1.5, out=out, where=square > 1e-30)
    return out


def _quantiles(drawn: Draws, low: Floats, high: Floats) -> Bounds:
    """Each candidate's own two quantiles [c] of the draws that are not nan."""
    found = np.full((2, len(drawn.point)), np.nan)
    for j in range(len(drawn.point)):
        column = drawn.draws[np.isfinite(drawn.draws[:, j]), j]
        if drawn.units[j] > 1 and len(column) > 1:
            found[:, j] = np.quantile(column, [low[j], high[j]])
    return Bounds(found[0], found[1])


def blocks(total: int, *, bytes_each: int) -> Iterator[slice]:
    """0..total in slices whose working memory stays within `BLOCK_BYTES`."""
    size = max(1, BLOCK_BYTES // bytes_each)
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def _weights(rng: np.random.Generator, rows: int, g: int) -> Floats:
    """float [rows, g]: how often each cluster is drawn."""
    # Counting drawn indices is a multinomial draw, and an order of magnitude faster than Generator.multinomial.
    drawn: NDArray[np.int64] = rng.integers(0, g, size=(rows, g))
    drawn += np.arange(rows, dtype=np.int64)[:, None] * g
    return np.bincount(drawn.ravel(), minlength=rows * g).reshape(rows, g).astype(np.float64)
