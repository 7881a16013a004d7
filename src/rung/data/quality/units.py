"""Rows that must stay together: one group, or one question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.data.record import Record


def units_of(records: Sequence[Record], keys: Sequence[str]) -> NDArray[np.int64]:
    """[n]: the same number for rows that are linked by a group or by the key of their question; a blank key links nothing."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(records)
    first: dict[tuple[str, str], int] = {}
    ends = [
        (i, first.setdefault(link, i))
        for i, (record, key) in enumerate(zip(records, keys, strict=True))
        for link in (("key", key), ("group", record.group))
        if link[1]
    ]
    if not ends:
        return np.arange(n)
    start, end = np.array(ends).T
    graph = coo_array((np.ones(len(start), np.int8), (start, end)), shape=(n, n))
    found: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return found
