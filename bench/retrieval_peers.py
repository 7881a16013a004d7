"""What a user would pick instead, for bench/retrieval.py: runs in an environment that has the peers, not Rung.

    pip install faiss-cpu lancedb rank-bm25 llama-index-core llama-index-retrievers-bm25 haystack-ai tantivy
    python bench/retrieval_peers.py PEER DATA N FOLDER

Every peer gets the texts, the vectors and the queries' vectors, and its own defaults; no one embeds anything. A hybrid peer is asked
for its hybrid search, the others for the part that they have.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from retrieval_data import TOP, Data, data_of, recall, tell, timed


def faiss_flat(data: Data, folder: Path) -> None:
    import faiss
    import numpy as np

    began = time.perf_counter()
    index = faiss.IndexFlatIP(data.vectors.shape[1])
    index.add(np.ascontiguousarray(data.vectors[: data.n]))
    built, asked = time.perf_counter() - began, data.query_vectors()
    found = index.search(asked, TOP)[1].tolist()
    speed = timed(lambda n: index.search(asked[n : n + 1], TOP))
    tell(part="dense", build_s=built, recall_at_10=recall(data.truth(), found), **speed)


def rank_bm25(data: Data, folder: Path) -> None:
    from rank_bm25 import BM25Okapi

    texts, queries = data.texts(), data.queries()
    began = time.perf_counter()
    index = BM25Okapi([text.split() for text in texts])
    built = time.perf_counter() - began
    tell(part="lexical", build_s=built, **timed(lambda n: index.get_top_n(queries[n].split(), texts, TOP), 40))


def tantivy_text(data: Data, folder: Path) -> None:
    import tantivy

    schema = tantivy.SchemaBuilder()
    schema.add_text_field("body", stored=True, index_option="freq")
    index = tantivy.Index(schema.build(), str(folder))
    began = time.perf_counter()
    writer = index.writer()
    for text in data.texts():
        writer.add_document(tantivy.Document(body=text))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    built, searcher, queries = time.perf_counter() - began, index.searcher(), data.queries()

    def ask(n: int) -> list[str]:
        hits = searcher.search(index.parse_query(queries[n], ["body"]), TOP, count=False).hits
        return [searcher.doc(address)["body"][0] for _, address in hits]

    tell(part="lexical", build_s=built, **timed(ask))


def lancedb_hybrid(data: Data, folder: Path) -> None:
    import lancedb
    import pyarrow as pa

    texts, vectors = data.texts(), data.vectors[: data.n]
    began = time.perf_counter()
    columns = {
        "id": pa.array(range(data.n)),
        "text": pa.array(texts),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1]),
    }
    table = lancedb.connect(str(folder)).create_table("passages", pa.table(columns))
    table.create_fts_index("text")
    table.create_index(metric="cosine", index_type="IVF_HNSW_SQ")
    built, asked, queries = time.perf_counter() - began, data.query_vectors(), data.queries()

    def hybrid(n: int) -> list[int]:
        found = table.search(query_type="hybrid").vector(asked[n]).text(queries[n]).limit(TOP).to_list()
        return [row["id"] for row in found]

    dense = [[row["id"] for row in table.search(vector).limit(TOP).to_list()] for vector in asked]
    tell(part="hybrid", build_s=built, recall_at_10=recall(data.truth(), dense), **timed(hybrid, 150))


def llama_index(data: Data, folder: Path) -> None:
    """The in-memory vector store that `VectorStoreIndex` uses by default, and its BM25 retriever, fused by reciprocal rank."""
    from llama_index.core.schema import TextNode
    from llama_index.core.vector_stores.simple import SimpleVectorStore
    from llama_index.core.vector_stores.types import VectorStoreQuery
    from llama_index.retrievers.bm25 import BM25Retriever

    began = time.perf_counter()
    nodes = [
        TextNode(id_=str(n), text=text, embedding=vector.tolist())
        for n, (text, vector) in enumerate(zip(data.texts(), data.vectors, strict=False))
    ]
    store = SimpleVectorStore()
    store.add(nodes)
    words = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=100)
    built, asked, queries = time.perf_counter() - began, data.query_vectors(), data.queries()

    def dense(n: int, k: int) -> list[str]:
        return list(store.query(VectorStoreQuery(asked[n].tolist(), similarity_top_k=k)).ids or [])

    def hybrid(n: int) -> list[str]:
        return _fused([dense(n, 100), [hit.node.node_id for hit in words.retrieve(queries[n])]])

    found = [[int(name) for name in dense(n, TOP)] for n in range(20)]
    tell(part="hybrid", build_s=built, recall_at_10=recall(data.truth()[:20], found), **timed(hybrid, 20))


def haystack(data: Data, folder: Path) -> None:
    """The in-memory document store with its two retrievers and the joiner, as its hybrid example puts them together."""
    from haystack import Document
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    began = time.perf_counter()
    store = InMemoryDocumentStore(embedding_similarity_function="dot_product")
    store.write_documents(
        [
            Document(id=str(n), content=text, embedding=vector.tolist())
            for n, (text, vector) in enumerate(zip(data.texts(), data.vectors, strict=False))
        ]
    )
    words, near = InMemoryBM25Retriever(store), InMemoryEmbeddingRetriever(store)
    joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=TOP)
    built, asked, queries = time.perf_counter() - began, data.query_vectors(), data.queries()

    def hybrid(n: int) -> object:
        lists = [
            words.run(queries[n], top_k=100)["documents"],
            near.run(asked[n].tolist(), top_k=100)["documents"],
        ]
        return joiner.run(lists)

    found = [[int(hit.id) for hit in near.run(asked[n].tolist(), top_k=TOP)["documents"]] for n in range(20)]
    tell(part="hybrid", build_s=built, recall_at_10=recall(data.truth()[:20], found), **timed(hybrid, 20))


def _fused(lists: list[list[str]]) -> list[str]:
    scores: dict[str, float] = {}
    for names in lists:
        for rank, name in enumerate(names, 1):
            scores[name] = scores.get(name, 0.0) + 1 / (60 + rank)
    return sorted(scores, key=lambda name: -scores[name])[:TOP]


PEERS: dict[str, Callable[[Data, Path], None]] = {
    "faiss_flat": faiss_flat,
    "rank_bm25": rank_bm25,
    "tantivy": tantivy_text,
    "lancedb": lancedb_hybrid,
    "llama_index": llama_index,
    "haystack": haystack,
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](*data_of(sys.argv[2:]))
