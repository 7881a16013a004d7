"""The paired cluster bootstrap: every candidate's metric on the same resamples of the test set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.stats.intervals import Floats

Aggregate = Callable[[Floats, Floats], Floats]
"""`Metric.aggregate`: (totals [..., p], n [...]) -> [...]"""

DRAWS = 10_000
BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Draws:
    """c candidates' metric, as observed and on B resamples that they share."""

    point: Floats
    """[c]"""
    draws: Floats
    """[B, c]; nan where a resample holds no scored row of a candidate."""
    units: Floats
    """[c]: independent groups with at least one scored row."""


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
    return Draws(np.asarray(point, dtype=np.float64), out, units)


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
