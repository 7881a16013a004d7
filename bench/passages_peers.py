"""Passages found by words, by what a user would pick, with its defaults; for bench/passages.py, in an environment of its own.

    pip install rank-bm25 llama-index-core llama-index-retrievers-bm25 haystack-ai
    python bench/passages_peers.py PEER < DATA

DATA: {"texts": [...], "queries": [...], "top": k}. Prints for every query the numbers of the texts found, best first.
"""

from __future__ import annotations

import json
import sys


def rank_bm25(texts: list[str], queries: list[str], top: int) -> list[list[int]]:
    import numpy as np
    from rank_bm25 import BM25Okapi

    index = BM25Okapi([text.split() for text in texts])
    rows = []
    for query in queries:
        scores = index.get_scores(query.split())
        best = np.argsort(-scores, kind="stable")[:top]
        rows.append([int(n) for n in best if scores[n] > 0])
    return rows


def llama_index(texts: list[str], queries: list[str], top: int) -> list[list[int]]:
    from llama_index.core.schema import TextNode
    from llama_index.retrievers.bm25 import BM25Retriever

    nodes = [TextNode(id_=str(n), text=text) for n, text in enumerate(texts)]
    words = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=min(top, len(nodes)))
    return [[int(hit.node.node_id) for hit in words.retrieve(query) if hit.score] for query in queries]


def haystack(texts: list[str], queries: list[str], top: int) -> list[list[int]]:
    from haystack import Document
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore()
    store.write_documents([Document(id=str(n), content=text) for n, text in enumerate(texts)])
    return [[int(found.id) for found in store.bm25_retrieval(query, top_k=top)] for query in queries]


if __name__ == "__main__":
    data = json.load(sys.stdin)
    peers = {"rank_bm25": rank_bm25, "llama_index": llama_index, "haystack": haystack}
    print(json.dumps(peers[sys.argv[1]](data["texts"], data["queries"], data["top"])))
