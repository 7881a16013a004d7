"""Lexical search over texts in memory: BM25 of every text for every query at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rung.retrieval.postings import Postings, build_postings, norms
from rung.text.tokens import search_tokens


def idf(documents: NDArray[np.int64] | int, holding: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Weight of a term that `holding` of so many `documents` hold, as in Lucene: ln(1 + (n - df + 0.5) / (df + 0.5))."""
    found: NDArray[np.float64] = np.log1p((documents - holding + 0.5) / (holding + 0.5))
    return found


@dataclass(frozen=True)
class Lexical:
    """BM25 as in Lucene (k1 1.5, b 0.75; variants in Kamphuis et al. 2020), over `rung.text.tokens.search_tokens`."""

    postings: Postings

    @cached_property
    def _weights(self) -> csr_array:
        """[terms, texts]"""
        postings = self.postings
        holding = np.diff(postings.starts)
        norm = norms(postings.average, int(postings.lengths.max(initial=0)))
        weights = postings.counts / (postings.counts + norm[postings.lengths[postings.docs]])
        weights *= np.repeat(idf(postings.lengths.size, holding), holding)
        shape = (holding.size, postings.lengths.size)
        return csr_array((weights.astype(np.float32), postings.docs, postings.starts), shape=shape)

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """float32 [n_queries, n_texts]: BM25 scores, 0 where no term is shared. A term that a query repeats counts again."""
        asked = [search_tokens(query) for query in queries]
        terms = list(dict.fromkeys(term for each in asked for term in each))
        rows = dict(zip(terms, self.postings.lookup.find(terms, self.postings.terms), strict=True))
        found = [[rows[term] for term in each if rows[term] >= 0] for each in asked]
        starts = np.cumsum([0, *map(len, found)])
        columns = np.fromiter((row for each in found for row in each), np.int32, count=starts[-1])
        shape = (len(queries), len(self.postings.terms))
        scores: NDArray[np.float32] = (
            csr_array((np.ones(len(columns), np.float32), columns, starts), shape=shape) @ self._weights
        ).toarray()
        return scores


def build_lexical(texts: Sequence[str]) -> Lexical:
    """Texts made ready to be scored."""
    return Lexical(build_postings(texts))
