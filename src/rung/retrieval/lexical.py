"""Lexical search: BM25 weights of every term in every text, and what they add up to for a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.text.tokens import search_tokens

K1 = 1.5
B = 0.75


@dataclass(frozen=True)
class Lexical:
    """BM25 weights as a sparse matrix [terms, texts] by rows: term t has `data[indptr[t]:indptr[t + 1]]` in texts `indices[...]`.

    `vocabulary`: the terms, in the order of the rows.
    """

    vocabulary: tuple[str, ...]
    data: NDArray[np.float32]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int64]
    texts: int

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """float32 [n_queries, n_texts]: BM25 scores; 0 where a text has no term of the query."""
        from scipy.sparse import csr_array

        shape = (len(queries), self.texts)
        if not self.vocabulary:
            return np.zeros(shape, np.float32)
        found = [[row for term in search_tokens(query) if (row := self._row_of(term)) is not None] for query in queries]
        asked = csr_array(
            (
                np.ones(sum(map(len, found)), np.float32),
                np.fromiter((row for rows in found for row in rows), np.int32),
                np.cumsum([0, *map(len, found)]),
            ),
            shape=(len(queries), len(self.vocabulary)),
        )
        weights = csr_array((self.data, self.indices, self.indptr), shape=(len(self.vocabulary), self.texts))
        scores: NDArray[np.float32] = (asked @ weights).toarray()
        return scores
