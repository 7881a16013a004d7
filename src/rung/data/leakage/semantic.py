"""Semantic copies: texts whose vectors point the same way, looked at block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.data.leakage.near import NearPairs

MOST = 16
"""Partners that are kept of each text, the closest ones: a low threshold squares no memory."""
_BLOCK = 1024


def find_close(vectors: NDArray[np.float32], threshold: float, *, homes: NDArray[np.uint64] | None = None) -> NearPairs:
    """Pairs of rows whose cosine is at least `threshold`; at most 16 partners a row.

    `vectors`: float32 [n, d], of any length but 0 (a row of zeros is close to none). With `homes` (a bit for each split or
    file that holds a row) only pairs of different homes are looked for. Time grows with n squared, memory with n: 100,000
    rows take minutes, and more than that is what near copies are for.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths > 0, lengths, 1)
    n = len(units)
    best: list[NearPairs] = []
    for start in range(0, n, _BLOCK):
        scores = units[start : start + _BLOCK] @ units.T
        rows = np.arange(start, start + len(scores))
        scores[np.arange(len(scores)), rows] = -1
        if homes is not None:
            either = homes[rows][:, None] | homes[None, :]
            scores[(either & (either - np.uint64(1))) == 0] = -1
        scores = np.where(scores >= threshold, scores, -1)
        most = min(MOST, n)
        columns = np.argpartition(-scores, most - 1, axis=1)[:, :most] if n else np.empty((0, 0), np.int64)
        values = np.take_along_axis(scores, columns, axis=1)
        row, place = np.nonzero(values > -1)
        one, other = rows[row], columns[row, place]
        best.append(NearPairs(np.minimum(one, other), np.maximum(one, other), values[row, place].astype(np.float64)))
    first, second, score = (
        np.concatenate([np.empty(0, kind), *(getattr(part, name) for part in best)])
        for name, kind in (("first", np.int64), ("second", np.int64), ("score", np.float64))
    )
    _, once = np.unique(first * n + second, return_index=True)
    return NearPairs(first[once], second[once], score[once])
