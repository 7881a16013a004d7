"""A graph through many vectors (HNSW, by usearch): the neighbours of a query without comparing it to all."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAPH_FROM = 20_000
"""So many vectors get a graph; fewer are compared one by one sooner than a graph is worth its making."""
_LINKS = 16
_WIDTH_BUILDING = 128
_WIDTH_SEARCHING = 128
"""Of a graph through 100,000 vectors; a search of a larger one looks further around it, of a smaller one no less far."""
_BATCH = 1 << 16


@dataclass(frozen=True)
class Graph:
    """An opened graph; its file is mapped, not loaded."""

    index: Any
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """The library keeps its notes of a search in one place."""

    def near(self, query: NDArray[np.float32], count: int, width: int = 0) -> NDArray[np.int64]:
        """int64 [<= count]: places of vectors that are probably the nearest, the nearest first.

        `width`: candidates that are kept on the way, where more than usual are wanted: the more, the surer.
        """
        with self._lock:
            usual = self.index.expansion_search
            self.index.expansion_search = max(usual, width)
            found: NDArray[np.int64] = self.index.search(query, count, threads=1).keys.astype(np.int64)
            self.index.expansion_search = usual
        return found


def build_graph(vectors: NDArray[np.float32], path: Path) -> None:
    """Write a graph through unit vectors [n, d], which it keeps as bf16 (Malkov and Yashunin 2018).

    Threads race for their places in it, so that two graphs of the same vectors differ in detail.
    """
    index = _new(vectors.shape[1])
    cores = len(os.sched_getaffinity(0))
    for start in range(0, len(vectors), _BATCH):
        part = vectors[start : start + _BATCH]
        index.add(np.arange(start, start + len(part), dtype=np.uint64), part, threads=cores)
    try:
        index.save(str(path))
    except RuntimeError as error:
        # What the library calls a failed write; a full disk is the likely one.
        full = shutil.disk_usage(path.parent).free < index.memory_usage
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error


def open_graph(path: Path, dimensions: int) -> Graph:
    """The graph that a file holds."""
    index = _new(dimensions)
    index.view(str(path))
    index.expansion_search = int(_WIDTH_SEARCHING * max(1.0, len(index) / 100_000) ** 0.5)
    return Graph(index)


def _new(dimensions: int) -> Any:
    from usearch.index import Index

    return Index(
        ndim=dimensions,
        metric="ip",
        dtype="bf16",
        connectivity=_LINKS,
        expansion_add=_WIDTH_BUILDING,
        expansion_search=_WIDTH_SEARCHING,
        enable_key_lookups=False,
    )
