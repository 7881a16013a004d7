"""Retrieval at 100,000 and 1,000,000 passages beside what a user would pick: build, query, recall, memory, and what an update costs.

    SIZES=100000,1000000 RUNG_PEERS_PYTHON=/path/to/python python bench/retrieval.py

Synthetic passages (bench/retrieval_data.py), nothing is embedded: every side is given the vectors. Each side runs in a process of its
own, one after the other, on the same data. Peers need an environment of their own, whose Python RUNG_PEERS_PYTHON names
(bench/retrieval_peers.py says what to install there); without it Rung is measured alone. SIDES names some of the sides. Other sizes
than 100,000 have results of their own: bench/results/retrieval-1m.json.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import finish, say
from numpy.typing import NDArray
from retrieval_data import GROWTH, TOP, Data, data_of, folder_mb, make_data, recall, tell, timed

SIZES = [int(size) for size in os.environ.get("SIZES", "100000").split(",")]
PYTHON = "RUNG_PEERS_PYTHON"
SMALL_ONLY = {"rank_bm25", "llama_index", "haystack"}
"""Sides that take minutes a query, or all memory, beyond 100,000 passages."""
PEERS = ("faiss_flat", "rank_bm25", "tantivy", "lancedb", "llama_index", "haystack")
LABELS = {1_000_000: "1m"}


class Given:
    """An encoder that hands out the vectors of the passages in the order in which they are asked for, and those of queries."""

    id = "given@1"

    def __init__(self, data: Data) -> None:
        self._vectors, self._next = data.vectors, 0
        self._queries = dict(zip(data.queries(), data.query_vectors(), strict=True))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if texts[0] in self._queries:
            return np.stack([self._queries[text] for text in texts])
        first, self._next = self._next, self._next + len(texts)
        return np.asarray(self._vectors[first : self._next])

    def start_at(self, first: int) -> None:
        self._next = first


def rung(data: Data, folder: Path) -> None:
    """One base built, asked, updated; and a second of the update's passages alone, for the comparison."""
    from rung.core.answer import Item
    from rung.retrieval.base import KnowledgeBase

    def items(first: int, last: int) -> list[Item]:
        texts = data.texts(first, last)
        return [Item(f"{n:08}", text) for n, text in enumerate(texts, first)]

    encoder, base = Given(data), KnowledgeBase(folder / "base")
    passages = items(0, data.n)
    began = time.perf_counter()
    base.update_items(passages, encoder)
    built = time.perf_counter() - began
    del passages
    began = time.perf_counter()
    index = base.open(encoder)
    opened, queries = time.perf_counter() - began, data.queries()
    speed = timed(lambda n: index.search([queries[n]], TOP))
    lexical = timed(lambda n: index.search([queries[n]], TOP, mode="lexical"))
    dense = timed(lambda n: index.search([queries[n]], TOP, mode="dense"))
    found = [[int(hit.item.id) for hit in hits] for hits in index.search(queries, TOP, mode="dense")]
    more = items(data.n, data.n + GROWTH)
    encoder.start_at(data.n)
    began = time.perf_counter()
    base.update_items(more, encoder)
    updated = time.perf_counter() - began
    grown = base.open(encoder)
    after = timed(lambda n: grown.search([queries[n]], TOP))
    encoder.start_at(data.n)
    began = time.perf_counter()
    KnowledgeBase(folder / "alone").update_items(more, encoder)
    alone = time.perf_counter() - began
    began = time.perf_counter()
    base.delete([item.id for item in more[: GROWTH // 10]])
    tell(
        part="hybrid",
        build_s=built,
        open_s=opened,
        recall_at_10=recall(data.truth(), found),
        **speed,
        lexical_p50_ms=lexical["p50_ms"],
        lexical_cpu_p50_ms=lexical["cpu_p50_ms"],
        dense_p50_ms=dense["p50_ms"],
        dense_cpu_p50_ms=dense["cpu_p50_ms"],
        update_s=updated,
        update_alone_s=alone,
        delete_s=time.perf_counter() - began,
        p50_ms_after_update=after["p50_ms"],
        disk_mb=folder_mb(folder / "base"),
    )


def measured(side: str, data: Data) -> dict[str, Any]:
    """One side's figures, or why it has none."""
    python = sys.executable if side == "rung" else os.environ.get(PYTHON, "")
    if not python:
        return {"not_run": f"{PYTHON} names no environment that has it"}
    if side in SMALL_ONLY and data.n > 100_000:
        return {"not_run": "in memory, for 100,000 passages at most"}
    script = Path(__file__).with_name("retrieval.py" if side == "rung" else "retrieval_peers.py")
    folder = Path(tempfile.mkdtemp(prefix=f"rung-retrieval-{side}-"))
    try:
        command = [python, str(script), side, str(data.folder), str(data.n), str(folder)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            return {"not_run": f"ended with {done.returncode}"}
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}
    finally:
        shutil.rmtree(folder)


def main() -> None:
    sides = os.environ.get("SIDES", ",".join(("rung", *PEERS))).split(",")
    sizes: dict[str, Any] = {}
    flat: dict[str, Any] = {}
    for n in SIZES:
        label = LABELS.get(n, f"{n // 1000}k")
        say(f"{n:,} passages: making them")
        data = make_data(Path(tempfile.gettempdir()) / f"rung-retrieval-data-{n}", n)
        results = sizes[label] = {}
        for side in sides:
            say(f"{n:,} passages: {side}")
            results[side] = measured(side, data)
            say(f"  {results[side]}")
        ours = results.get("rung", {})
        for name in (
            "p50_ms",
            "p95_ms",
            "recall_at_10",
            "memory_mb",
            "build_s",
            "open_s",
            "update_s",
            "update_alone_s",
        ):
            if name in ours:
                flat[f"{name}_{label}"] = ours[name]
        hybrid = [r["p50_ms"] for s, r in results.items() if s != "rung" and r.get("part") == "hybrid"]
        if hybrid and "p50_ms" in ours:
            flat[f"ratio_best_peer_{label}"] = round(min(hybrid) / ours["p50_ms"], 2)
    worst = [flat[name] for name in flat if name.startswith("recall_at_10_")]
    ratios = [flat[name] for name in flat if name.startswith("ratio_best_peer_")]
    figures = {"recall_at_10": min(worst)} if worst else {}
    if ratios:
        figures["ratio_best_peer"] = min(ratios)
    named = "" if SIZES == [100_000] else "-" + "-".join(sizes)
    set_by = [f"{name}={os.environ[name]}" for name in ("SIDES", "SIZES") if name in os.environ]
    command = " ".join([*set_by, "make bench-retrieval"])
    finish(f"retrieval{named}", SIZES, command=command, **figures, **flat, sizes=sizes)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        rung(*data_of(sys.argv[2:]))
    else:
        main()
