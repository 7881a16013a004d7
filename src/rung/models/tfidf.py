"""Texts as TF-IDF weights of their words and character runs, restored from plain arrays and lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from rung.core.errors import DataError
from rung.text.normalise import fold
from rung.text.script import language_of

_ANALYSERS: dict[str, list[dict[str, Any]]] = {
    "en": [{"analyzer": "word", "ngram_range": [1, 2]}, {"analyzer": "char_wb", "ngram_range": [2, 5]}],
    # Without spaces a "word" would be a whole clause; runs of characters hold the words.
    "zh": [{"analyzer": "char", "ngram_range": [1, 3]}],
}
_MANY_TEXTS = 1000
"""From here on a term that occurs in one text only is noise, and half of all terms."""


class Tfidf:
    """Called with texts, it returns float32 [n, terms]: TF-IDF weights, each analyser's rows of length 1.

    `settings` holds the analysers with their terms, and `arrays` the inverse document frequencies, an array each.
    """

    def __init__(self, settings: Sequence[Mapping[str, Any]], vectorizers: Sequence[Any]) -> None:
        self.settings = list(settings)
        self.arrays: dict[str, NDArray[np.float32]] = {
            f"idf_{n}": np.ascontiguousarray(vectorizer.idf_, np.float32) for n, vectorizer in enumerate(vectorizers)
        }
        self._vectorizers = vectorizers

    def __call__(self, texts: Sequence[str]) -> csr_array:
        return csr_array(hstack([vectorizer.transform(texts) for vectorizer in self._vectorizers]))


def fit_tfidf(texts: Sequence[str], *, most_terms: int) -> Tfidf:
    """Words, pairs of words and runs of 2 to 5 characters; where most texts are Chinese, runs of 1 to 3 characters.

    At most `most_terms` terms, the commonest. Raises DataError E2710 when the texts hold none.
    """
    chinese = sum(language_of(text) == "zh" for text in texts)
    analysers = _ANALYSERS["zh" if chinese * 2 > len(texts) else "en"]
    vectorizers, settings = [], []
    for analyser in analysers:
        vectorizer = _vectorizer(
            analyser, min_df=2 if len(texts) >= _MANY_TEXTS else 1, max_features=max(1, most_terms // len(analysers))
        )
        try:
            vectorizer.fit(texts)
        except ValueError as error:
            raise DataError("E2710") from error
        vectorizers.append(vectorizer)
        terms: list[str] = vectorizer.get_feature_names_out().tolist()
        settings.append({**analyser, "terms": terms})
    return Tfidf(settings, vectorizers)


def restore_tfidf(settings: Sequence[Mapping[str, Any]], arrays: Mapping[str, NDArray[np.float32]]) -> Tfidf:
    """The same weights as those fitted, from `Tfidf.settings` and `Tfidf.arrays`."""
    vectorizers = []
    for n, analyser in enumerate(settings):
        vectorizer = _vectorizer(analyser, vocabulary={term: column for column, term in enumerate(analyser["terms"])})
        vectorizer.idf_ = arrays[f"idf_{n}"]
        vectorizers.append(vectorizer)
    return Tfidf(settings, vectorizers)


def _vectorizer(analyser: Mapping[str, Any], **more: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer=analyser["analyzer"],
        ngram_range=tuple(analyser["ngram_range"]),
        preprocessor=fold,
        token_pattern=r"\b\w+\b" if analyser["analyzer"] == "word" else None,
        sublinear_tf=True,
        dtype=np.float32,
        **more,
    )
