"""One sentence encoder on several processes of this machine, each with its own copy of the weights and its share of the cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import BackendError
from rung.core.model import Encoder

_here: Encoder | None = None
"""The encoder of a worker process."""


class SpreadEncoder:
    """Texts to unit vectors by `workers` processes that each open the encoder anew, with `opening`, which must be picklable.

    `id`: the encoder's own. A context: the processes end with it. A text's vector may differ in its last bits from the one
    that a single process makes, since texts are padded to other neighbours.
    """

    def __init__(self, opening: Callable[[], Encoder], workers: int) -> None:
        self.id = opening().id
        self.places = workers
        threads = max(1, len(os.sched_getaffinity(0)) // workers)
        # A fork of a process in which torch has threads may hang.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_open, initargs=(opening, threads))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [n, d]. Raises BackendError E3209 where a process dies, as for want of memory."""
        size = -(-len(texts) // self.places) or 1
        parts = [list(texts[start : start + size]) for start in range(0, len(texts), size)] or [[]]
        try:
            return np.concatenate(list(self._pool.map(_encode, parts)))
        except BrokenProcessPool as error:
            raise BackendError("E3209", encoder=self.id, n=self.places) from error

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> SpreadEncoder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _open(opening: Callable[[], Encoder], threads: int) -> None:
    global _here
    import torch

    torch.set_num_threads(threads)
    _here = opening()


def _encode(texts: Sequence[str]) -> NDArray[np.float32]:
    assert _here is not None
    return _here.encode(texts)
