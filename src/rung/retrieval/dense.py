"""Dense search: unit vectors, compared exactly by their cosine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import BackendError
from rung.core.model import Encoder

_DECIMALS = 6


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


def cosines(queries: NDArray[np.float32], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n_queries, n]: cosines of unit vectors [n_queries, d] and [n, d].

    They are rounded: the last digits depend on which other texts were encoded in the same batch, and equal texts must
    tie.
    """
    return np.round(queries @ vectors.T, _DECIMALS)
