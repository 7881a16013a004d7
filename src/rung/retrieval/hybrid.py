"""From scores to ranks: the best of several parts put together, and two rankings fused into one."""

from __future__ import annotations

from collections.abc import Sequence
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

    positions: NDArray[np.int64]
    scores: NDArray[np.float64]


def best_of(rankings: Sequence[Ranking], k: int) -> Ranking:
    """The k best of several rankings, and all that tie with the last of them, in no order."""
    positions = np.concatenate([ranking.positions for ranking in rankings])
    scores = np.concatenate([ranking.scores for ranking in rankings])
    if scores.size > k:
        kept = scores >= np.partition(scores, -k)[-k]
        positions, scores = positions[kept], scores[kept]
    return Ranking(positions, scores)


def fuse(rankings: Sequence[Ranking], k: int) -> Ranking:
    """Reciprocal rank fusion: 1 / (60 + rank), summed over the rankings that hold a position (Cormack et al. 2009).

    The lower position wins a tie.
    """
    positions, slots = np.unique(np.concatenate([ranking.positions for ranking in rankings]), return_inverse=True)
    gains = np.concatenate([1 / (RRF_K + np.arange(1, ranking.positions.size + 1)) for ranking in rankings])
    scores = np.bincount(slots, weights=gains, minlength=positions.size).astype(np.float32).astype(np.float64)
    best = np.argsort(-scores, kind="stable")[:k]
    return Ranking(positions[best], scores[best])
