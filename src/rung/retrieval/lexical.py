"""Lexical search: BM25 weights of every term in every text, and what they add up to for a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rung.text.tokens import search_tokens


@dataclass(frozen=True)
class Lexical:
    """BM25 weights as a sparse matrix [terms, texts].

    `vocabulary`: the terms, in the order of the rows. Term t has the weights `data[indptr[t]:indptr[t + 1]]` in the texts
    at positions `indices[indptr[t]:indptr[t + 1]]`.
    """

    vocabulary: tuple[str, ...]
    data: NDArray[np.float32]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int32]
    texts: int

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {term: row for row, term in enumerate(self.vocabulary)}

    @cached_property
    def _weights(self) -> csr_array:
        return csr_array((self.data, self.indices, self.indptr), shape=(len(self.vocabulary), self.texts))

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """float32 [n_queries, n_texts]: BM25 scores, 0 where no term is shared. A term that a query repeats counts again."""
        found = [[self._rows[term] for term in search_tokens(query) if term in self._rows] for query in queries]
        starts = np.cumsum([0, *map(len, found)])
        columns = np.fromiter((row for rows in found for row in rows), np.int32, count=starts[-1])
        counts = np.ones(len(columns), np.float32)
        asked = csr_array((counts, columns, starts), shape=(len(queries), len(self.vocabulary)))
        scores: NDArray[np.float32] = (asked @ self._weights).toarray()
        return scores


def build_lexical(texts: Sequence[str]) -> Lexical:
    """BM25 as in Lucene (k1 1.5, b 0.75; variants in Kamphuis et al. 2020), over `rung.text.tokens.search_tokens`.

    Terms stand in the order in which they are first met, so that equal texts give equal bytes in every process.
    """
    import bm25s

    rows: dict[str, int] = {}
    coded = [[rows.setdefault(term, len(rows)) for term in search_tokens(text)] for text in texts]
    if not rows:
        return Lexical((), np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(1, np.int32), len(texts))
    engine = bm25s.BM25(k1=1.5, b=0.75, method="lucene", dtype="float32", int_dtype="int32")
    engine.index((coded, rows), create_empty_token=False, show_progress=False)
    weights = engine.scores
    return Lexical(
        tuple(rows),
        np.ascontiguousarray(weights["data"], np.float32),
        np.ascontiguousarray(weights["indices"], np.int32),
        np.ascontiguousarray(weights["indptr"], np.int32),
        len(texts),
    )
