"""Dense search: unit vectors compared by their cosine, all of them or those that a graph leads to, and scored exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import BackendError
from rung.core.model import Encoder
from rung.retrieval.best_terms import Found, Mask
from rung.retrieval.graph import Graph

_DECIMALS = 6
_SLACK = 1e-5
"""How far a cosine summed in float32 may be off."""
_ROWS = 8192
"""Vectors that are gathered at once."""
_DIRECT = 20_000
"""So many vectors are compared one by one sooner than a graph is searched for those that may be seen."""
_DEARER = 32
"""A place of a search's width in a graph costs as much as so many vectors that are compared one by one."""


def unit_vectors(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """float32 [n, d]: the encoder's vectors, known to be finite and of length 1.

    Raises BackendError E3205 when the encoder returns anything else.
    """
    vectors = np.ascontiguousarray(encoder.encode(texts), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise BackendError("E3205", encoder=encoder.id, reason=f"shape {vectors.shape} for {len(texts)} texts")
    lengths = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1) < 1e-3))
    if wrong.size:
        raise BackendError("E3205", encoder=encoder.id, reason=f"vector {wrong[0]} has length {lengths[wrong[0]]}")
    return vectors


def same_length(encoder: Encoder, vectors: NDArray[np.float32], dimensions: int) -> None:
    """Raises BackendError E3205 for vectors [n, d] of another length than those of the index that the encoder is said to have made."""
    if vectors.shape[1] != dimensions:
        reason = f"{vectors.shape[1]} dimensions, and {dimensions} in the index"
        raise BackendError("E3205", encoder=encoder.id, reason=reason)


@dataclass(frozen=True)
class Dense:
    """Unit vectors float32 [n, d], with a graph through them where they are many."""

    vectors: NDArray[np.float32]
    graph: Graph | None = None

    def best(self, query: NDArray[np.float32], k: int, allowed: Mask | None) -> Found:
        """The k vectors nearest to a query, of those `allowed`, with their cosines to six decimals."""
        able = self.vectors.shape[0] if allowed is None else int(np.count_nonzero(allowed))
        if not able:
            return Found(np.zeros(0, np.int64), np.zeros(0))
        if self.graph is None:
            return self._exactly(query, k, allowed)
        share = able / self.vectors.shape[0]
        wanted = int(k / share * 1.3) + 16
        # The end of a long list is less sure than its beginning, and what may be seen lies all along it.
        width = int(wanted / share**0.5)
        while able > _DIRECT and width * _DEARER < able:
            places = self.graph.near(query, wanted, width)
            places = places if allowed is None else places[allowed[places]]
            if places.size >= k:
                return self._scored(query, places, k)
            # What lies about the query is hidden. Further away a graph is sure of its neighbours only in a wide search.
            wanted *= 4
            width = 4 * wanted
        return self._exactly(query, k, allowed)

    def _exactly(self, query: NDArray[np.float32], k: int, allowed: Mask | None) -> Found:
        places = None
        if allowed is None:
            near = self.vectors @ query
        elif np.count_nonzero(allowed) * 4 > allowed.size:
            near = np.where(allowed, self.vectors @ query, -np.inf)
        else:
            places = np.flatnonzero(allowed)
            starts = range(0, places.size, _ROWS)
            near = np.concatenate([self.vectors[places[start : start + _ROWS]] @ query for start in starts])
        # What ties with the k-th best, or might, is kept: the exact cosines decide.
        least = np.partition(near, -k)[-k] - _SLACK if near.size > k else -np.inf
        kept = np.flatnonzero((near >= least) & (near > -np.inf))
        return self._scored(query, kept if places is None else places[kept], k)

    def _scored(self, query: NDArray[np.float32], places: NDArray[np.int64], k: int) -> Found:
        """Cosines in float64, which do not depend on the company they are computed in, so that equal texts tie."""
        cosines = [
            (self.vectors[places[start : start + _ROWS]].astype(np.float64) * query).sum(axis=1)
            for start in range(0, places.size, _ROWS)
        ]
        scores = np.round(np.concatenate(cosines), _DECIMALS)
        order = np.lexsort((places, -scores))[:k]
        return Found(places[order], scores[order])
