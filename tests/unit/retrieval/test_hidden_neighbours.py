"""Who may see little finds as much of it as a search of every vector would: hidden neighbours cost no recall in the graph."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import rung.retrieval.dense
import rung.retrieval.graph
from rung.retrieval.dense import Dense
from rung.retrieval.graph import build_graph, open_graph

N, TOPICS, DIMENSIONS, K = 5_000, 100, 64, 10


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dense, NDArray[np.int64], NDArray[np.float32]]:
    """Vectors in topics, the topic of each, and queries about topics. The graph is as sparse as a far larger one feels."""
    rng = np.random.default_rng(4)
    topics = rng.normal(size=(TOPICS, DIMENSIONS))
    of = rng.integers(0, TOPICS, N)
    vectors = unit(topics[of] + 0.8 * rng.normal(size=(N, DIMENSIONS)))
    queries = unit(topics[rng.integers(0, TOPICS, 40)] + 0.8 * rng.normal(size=(40, DIMENSIONS)))
    path = tmp_path_factory.mktemp("graph") / "graph.usearch"
    with pytest.MonkeyPatch.context() as sparse:
        for name, value in (("_LINKS", 6), ("_WIDTH_BUILDING", 32), ("_WIDTH_SEARCHING", 24)):
            sparse.setattr(rung.retrieval.graph, name, value)
        build_graph(vectors, path)
        return Dense(vectors, open_graph(path, DIMENSIONS)), of, queries


@pytest.mark.parametrize("by_topic", [False, True], ids=["passages here and there", "whole topics"])
@pytest.mark.parametrize(("share", "dearer"), [(0.5, 32), (0.1, 32), (0.01, 32), (0.5, 0), (0.1, 0)])
def test_recall_is_that_of_a_search_of_everything(
    drawn: tuple[Dense, NDArray[np.int64], NDArray[np.float32]],
    monkeypatch: pytest.MonkeyPatch,
    share: float,
    by_topic: bool,
    dearer: int,
) -> None:
    dense, of, queries = drawn
    rng = np.random.default_rng(7)
    topics = rng.permutation(TOPICS)[: max(1, int(TOPICS * share))]
    allowed = np.isin(of, topics) if by_topic else rng.random(N) < share
    right = [set(dense._exactly(query, K, allowed).places.tolist()) for query in queries]
    monkeypatch.setattr(rung.retrieval.dense, "_DIRECT", 0)
    # With 0 the graph is walked also where comparing one by one would be cheaper.
    monkeypatch.setattr(rung.retrieval.dense, "_DEARER", dearer)
    found = [set(dense.best(query, K, allowed).places.tolist()) for query in queries]
    assert all(allowed[list(each)].all() for each in found)
    assert sum(len(a & b) for a, b in zip(found, right, strict=True)) >= 0.96 * sum(map(len, right))
