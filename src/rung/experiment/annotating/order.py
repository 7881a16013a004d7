"""Which rows to label first: those that a model is unsure of, spread over what the rows are about."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rung.core.hashing import seed_from

Floats = NDArray[np.float64]
Order = Literal["mixed", "random", "given"]
ORDERS: tuple[Order, ...] = ("mixed", "random", "given")
DIMENSIONS = 64
STRENGTH = 20.0
"""C of the head: unit vectors of few dimensions have small entries and need large weights."""
ROWS_A_LABEL = 3
_MOST_TERMS = 20_000
_LEAST = 1e-9


@dataclass(frozen=True)
class Pool:
    """Rows to choose from, and what is known beside them."""

    vectors: Floats
    """[n, d]: unit vectors of the rows."""
    doubt: Floats | None = None
    """[n]: how unsure a model is of each, 0 to 1; None where there is none to ask."""
    done: Floats | None = None
    """[m, d]: unit vectors of rows that are labelled already."""


def doubt_of(probabilities: Floats) -> Floats:
    """float [n] from [n, labels]: 1 minus the margin between the two likeliest labels (Scheffer et al. 2001)."""
    if probabilities.shape[1] < 2:
        return np.zeros(len(probabilities))
    best = np.sort(probabilities, axis=1)[:, -2:]
    return np.asarray(1.0 - (best[:, 1] - best[:, 0]), np.float64)


def label_order(pool: Pool, count: int, rng: np.random.Generator) -> list[int]:
    """Places of the next `count` rows, in the order in which to label them.

    Without doubts: the row farthest from all that are labelled or picked, again and again (greedy k-center; Gonzalez 1985,
    Sener and Savarese 2018). With doubts: a row is drawn with a chance in proportion to its squared doubt times its squared
    distance from the nearest labelled or picked row. That is the draw of k-means++ (Arthur and Vassilvitskii 2007), which
    passes over copies of what is known, weighed by doubt, which passes over what a model knows already. A draw, and no
    maximum: the row that stands farthest out is often a broken one.
    """
    x = pool.vectors
    distance = np.full(len(x), 2.0)
    if pool.done is not None and len(pool.done):
        distance = np.minimum(distance, (2.0 - 2.0 * x @ pool.done.T).min(axis=1))
    left = np.ones(len(x), np.bool_)
    picked: list[int] = []
    first_of_all = pool.done is None or not len(pool.done)
    for number in range(min(count, len(x))):
        weight = np.where(left, np.maximum(distance, _LEAST), 0.0)
        if pool.doubt is not None:
            weight = weight * np.square(np.maximum(pool.doubt, 1e-3))
        if pool.doubt is None and not (number == 0 and first_of_all):
            row = int(np.argmax(weight))
        else:
            row = int(rng.choice(len(x), p=weight / weight.sum()))
        picked.append(row)
        left[row] = False
        distance = np.minimum(distance, 2.0 - 2.0 * x @ x[row])
    return picked


def head_doubt(vectors: Floats, labelled: Sequence[int], labels: Sequence[str], *, seed: int = 0) -> Floats | None:
    """Doubt [n] of a linear head fitted on the rows labelled so far.

    None while they are too few, fewer than two labels or `ROWS_A_LABEL` rows for each: its doubt is then no more than noise.
    """
    from sklearn.linear_model import LogisticRegression

    seen = len(set(labels))
    if seen < 2 or len(labels) < ROWS_A_LABEL * seen:
        return None
    head = LogisticRegression(C=STRENGTH, tol=1e-3, max_iter=300, random_state=seed % 2**32)
    with warnings.catch_warnings():
        # At the start there are nearly as many labels as rows, and the solver need not come to rest to show doubt.
        warnings.simplefilter("ignore")
        head.fit(vectors[list(labelled)], np.array(labels, dtype=object))
    return doubt_of(head.predict_proba(vectors))


def text_vectors(texts: Sequence[str], *, seed: int = 0) -> Floats:
    """Unit vectors [n, d]: TF-IDF of words and character runs, reduced to at most `DIMENSIONS` directions (LSA).

    Raises DataError E2710 where the texts hold nothing to count.
    """
    from sklearn.decomposition import TruncatedSVD

    from rung.models.tfidf import fit_tfidf

    weights = fit_tfidf(texts, most_terms=_MOST_TERMS)(texts)
    size = min(DIMENSIONS, min(weights.shape) - 1)
    if size < 2:
        dense = np.asarray(weights.toarray(), np.float64)
    else:
        reduced = TruncatedSVD(size, n_iter=3, random_state=seed % 2**32).fit_transform(weights)
        dense = np.asarray(reduced, np.float64)
    found: Floats = dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), _LEAST)
    return found


def random_order(ids: Sequence[str], seed: int) -> list[int]:
    """Places in an order that depends on the ids and the seed alone."""
    return sorted(range(len(ids)), key=lambda n: seed_from("label order", seed, ids[n]))
