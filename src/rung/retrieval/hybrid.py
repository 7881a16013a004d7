"""From scores to ranks: the best of each query, and two rankings fused into one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RRF_K = 60
"""The constant of reciprocal rank fusion, as its authors set it."""
DEPTH = 100
"""Ranks of each list that take part in the fusion, at least."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Positions in the index, best first, and their scores."""

    positions: NDArray[np.intp]
    scores: NDArray[np.float32]


def rank(scores: NDArray[np.float32], k: int) -> Iterator[Ranking]:
    """The k best positions of every row of scores [n_queries, n]; the lower position wins a tie, -inf never counts."""
    for row in scores:
        least = np.partition(row, row.size - k)[row.size - k] if k < row.size else -np.inf
        # Everything that ties with the k-th best is kept, so that position decides and not the partition's order.
        able = np.flatnonzero((row >= least) & (row > -np.inf))
        positions = able[np.argsort(-row[able], kind="stable")[:k]]
        yield Ranking(positions, row[positions])


def fuse(rankings: Sequence[Ranking], k: int) -> Ranking:
    """Reciprocal rank fusion: 1 / (60 + rank), summed over the rankings that hold a position (Cormack et al. 2009)."""
    positions, slots = np.unique(np.concatenate([ranking.positions for ranking in rankings]), return_inverse=True)
    gains = np.concatenate([1 / (RRF_K + np.arange(1, ranking.positions.size + 1)) for ranking in rankings])
    scores = np.bincount(slots, weights=gains, minlength=positions.size).astype(np.float32)
    best = np.argsort(-scores, kind="stable")[:k]
    return Ranking(positions[best], scores[best])
