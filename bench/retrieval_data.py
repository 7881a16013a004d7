"""Synthetic passages for bench/retrieval.py and its peers: Zipf texts, clustered vectors, and queries drawn from both.

Needs numpy alone, so that every side can read it in an environment of its own.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORDS, VOCABULARY, DIMENSIONS, CLUSTERS = 60, 50_000, 384, 1000
QUERIES, GROWTH, TOP = 300, 10_000, 10
_BLOCK = 50_000


@dataclass(frozen=True)
class Data:
    """`n` passages and `GROWTH` more behind them, that come as an update."""

    folder: Path
    n: int

    def texts(self, first: int = 0, last: int | None = None) -> list[str]:
        with (self.folder / "texts.txt").open(encoding="ascii") as file:
            return [line.rstrip("\n") for n, line in enumerate(file) if first <= n < (last or self.n)]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """float32 [n + GROWTH, d], of length 1, mapped."""
        found: NDArray[np.float32] = np.load(self.folder / "vectors.npy", mmap_mode="r")
        return found

    def queries(self) -> list[str]:
        found: list[str] = json.loads((self.folder / "queries.json").read_text())
        return found

    def query_vectors(self) -> NDArray[np.float32]:
        found: NDArray[np.float32] = np.load(self.folder / "queries.npy")
        return found

    def truth(self) -> NDArray[np.int64]:
        """int64 [queries, TOP]: the nearest passages by exact cosines, of the first n."""
        found: NDArray[np.int64] = np.load(self.folder / "truth.npy")
        return found


def make_data(folder: Path, n: int) -> Data:
    """The same bytes in every run; made once."""
    data = Data(folder, n)
    if (folder / "done").exists():
        return data
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(n)
    total = n + GROWTH
    words = [_word(rank) for rank in range(VOCABULARY)]
    shares = 1 / np.arange(1, VOCABULARY + 1)
    shares /= shares.sum()
    sample = set(rng.choice(n, QUERIES, replace=False).tolist())
    queries = []
    with (folder / "texts.txt").open("w", encoding="ascii") as file:
        for start in range(0, total, _BLOCK):
            drawn = rng.choice(VOCABULARY, (min(_BLOCK, total - start), WORDS), p=shares)
            for row, ranks in enumerate(drawn.tolist(), start):
                file.write(" ".join([words[rank] for rank in ranks]) + "\n")
                if row in sample:
                    length = int(rng.integers(8, 11))
                    queries.append(" ".join(words[ranks[at]] for at in rng.choice(WORDS, length, replace=False)))
    (folder / "queries.json").write_text(json.dumps(queries))
    centres = rng.standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float32, (total, DIMENSIONS))
    for start in range(0, total, _BLOCK):
        vectors[start : start + _BLOCK] = _near(rng, centres, min(_BLOCK, total - start))
    asked = _near(rng, centres, QUERIES)
    np.save(folder / "queries.npy", asked)
    np.save(folder / "truth.npy", _nearest(vectors[:n], asked))
    (folder / "done").touch()
    return data


def _word(rank: int) -> str:
    """Short for frequent words, and spoken like one."""
    letters, rank = "", rank + 20
    while rank:
        letters += "bcdfghjklmnpqrtvwxyz"[rank % 20] + "aeiou"[rank % 5]
        rank //= 20
    return letters


def _near(rng: np.random.Generator, centres: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    found = centres[rng.integers(0, CLUSTERS, n)] + rng.standard_normal((n, DIMENSIONS), np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _nearest(vectors: NDArray[np.float32], asked: NDArray[np.float32]) -> NDArray[np.int64]:
    scores = np.full((len(asked), TOP), -np.inf, np.float32)
    places = np.zeros((len(asked), TOP), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        block = asked @ vectors[start : start + _BLOCK].T
        here = np.argpartition(-block, TOP, axis=1)[:, :TOP]
        scores = np.concatenate([scores, np.take_along_axis(block, here, 1)], axis=1)
        places = np.concatenate([places, here + start], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        scores, places = np.take_along_axis(scores, best, 1), np.take_along_axis(places, best, 1)
    return places


def recall(truth: NDArray[np.int64], found: list[list[int]]) -> float:
    """Share of the nearest passages that were found."""
    return float(
        np.mean([len(set(row) & set(wanted)) / TOP for row, wanted in zip(found, truth.tolist(), strict=True)])
    )


def timed(ask: Callable[[int], Any], n: int = QUERIES) -> dict[str, float]:
    """Milliseconds a query, asked one by one: wall clock, and the computing time of this process."""
    for number in range(min(20, n)):
        ask(number)
    wall, cpu = [], []
    for number in range(n):
        began, spent = time.perf_counter(), time.process_time()
        ask(number)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
    middle, slow = np.percentile(wall, [50, 95]) * 1000
    return {
        "p50_ms": round(float(middle), 3),
        "p95_ms": round(float(slow), 3),
        "cpu_p50_ms": round(float(np.median(cpu)) * 1000, 3),
    }


def memory_mb() -> int:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def folder_mb(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) >> 20


def data_of(arguments: list[str]) -> tuple[Data, Path]:
    """What a side is called with: the folder of the data, the number of passages, an empty folder to write in."""
    return Data(Path(arguments[0]), int(arguments[1])), Path(arguments[2])


def tell(**figures: Any) -> None:
    """The figures of one side, as the last line of its output."""
    print(json.dumps({**figures, "memory_mb": memory_mb(), "threads": os.environ.get("OMP_NUM_THREADS", "")}))
