"""What the questions are about: clusters of their vectors, the words of each, a map, and questions that belong nowhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.data.quality.personal import unreadable
from rung.data.quality.record import Dot, Topic, Topics
from rung.data.quality.topic_words import topic_words

Vectors = NDArray[np.float32]
Ints = NDArray[np.int64]
Progress = Callable[[float, float, str], None]

NUMBERS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20)
"""Numbers of topics that are tried."""
FEWEST_ROWS = 30
"""Rows without which topics would be found in noise."""
_ROWS_PER_TOPIC = 10
_TRIED_ON = 3_000
_SILHOUETTE = 1_000
_DIMENSIONS = 50
"""Directions of the vectors that hold most of what tells rows apart; distances in all of them are nearly the same for all pairs."""
_MAP = 700
"""Dots on the map: more hide each other, and make the page heavy."""
_TSNE_FROM = 50
_SHORT = 160
_MIDDLING = 10
"""Questions nearest to a topic's middle, of which the shortest one that tells anything stands for it."""
_TELLING = 12
_NEIGHBOURS = 5
_BLOCK = 2_000


@dataclass(frozen=True)
class Clusters:
    """`topic` [n]: each row's topic, numbered from 0, the largest first."""

    topic: Ints
    reduced: Vectors
    """[n, d]: the rows in fewer directions."""
    middles: Vectors
    """[k, d]"""
    silhouette: float


def cluster(vectors: Vectors, rng: np.random.Generator, progress: Progress | None = None) -> Clusters:
    """k-means (Lloyd 1982), with the number of topics that has the highest mean silhouette (Rousseeuw 1987) on a sample.

    vectors [n, d], n at least FEWEST_ROWS.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    n = len(vectors)
    reduced = reduce(vectors, rng)
    sample = rng.permutation(n)[:_TRIED_ON]
    judged = sample[:_SILHOUETTE]
    tried: list[tuple[float, int]] = []
    numbers = [k for k in NUMBERS if k <= max(2, n // _ROWS_PER_TOPIC)]
    for done, k in enumerate(numbers):
        if progress:
            progress(done, len(numbers), "topics")
        found = KMeans(k, n_init=2, random_state=_state(rng)).fit(reduced[sample])
        near = found.labels_[: len(judged)]
        if 1 < len(set(near)) < len(near):
            tried.append((float(silhouette_score(reduced[judged], near)), k))
    best = max(tried, default=(0.0, 1))
    fitted = KMeans(best[1], n_init=3, random_state=_state(rng)).fit(reduced)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=best[1]), kind="stable")
    place = np.empty(best[1], np.int64)
    place[order] = np.arange(best[1])
    return Clusters(place[fitted.labels_], reduced, fitted.cluster_centers_[order].astype(np.float32), best[0])


def reduce(vectors: Vectors, rng: np.random.Generator) -> Vectors:
    """[n, at most 50] by principal components, rows of length 1."""
    from sklearn.decomposition import PCA

    width = min(_DIMENSIONS, *vectors.shape)
    reduced = PCA(width, random_state=_state(rng), svd_solver="randomized").fit_transform(vectors)
    lengths = np.linalg.norm(reduced, axis=1, keepdims=True)
    found: Vectors = (reduced / np.maximum(lengths, 1e-9)).astype(np.float32)
    return found


def describe_topics(
    clusters: Clusters, texts: Sequence[str], answers: Sequence[str], rng: np.random.Generator
) -> Topics:
    """Topics with their words, an example and their commonest answers; and the map."""
    n, k = len(texts), len(clusters.middles)
    words = topic_words(texts, clusters.topic, k)
    topics = []
    for number in range(k):
        members = np.flatnonzero(clusters.topic == number)
        off = np.linalg.norm(clusters.reduced[members] - clusters.middles[number], axis=1)
        common = Counter(answers[m] for m in members.tolist() if answers[m]).most_common(3) if answers else []
        nearest: list[int] = members[np.argsort(off, kind="stable")[:_MIDDLING]].tolist()
        middling = [texts[place] for place in nearest]
        example = unreadable(min(middling, key=lambda text: (len(text) < _TELLING, len(text))))
        topics.append(
            Topic(
                number=number + 1,
                words=words[number],
                n=len(members),
                share=len(members) / n,
                example=example if len(example) <= _SHORT else example[: _SHORT - 1] + "…",
                answers=tuple(name for name, _ in common),
            )
        )
    shown = np.sort(rng.permutation(n)[:_MAP])
    places, method = flat_map(clusters.reduced[shown], rng)
    dots = [
        Dot(x=round(float(x), 2), y=round(float(y), 2), topic=int(clusters.topic[row]) + 1)
        for row, (x, y) in zip(shown, places, strict=True)
    ]
    return Topics(topics=tuple(topics), silhouette=clusters.silhouette, method=method, map=tuple(dots), n=n)


def flat_map(vectors: Vectors, rng: np.random.Generator) -> tuple[NDArray[np.float64], str]:
    """Places [n, 2] in -100..100, and how they were found: t-SNE (van der Maaten and Hinton 2008), PCA for few rows."""
    if len(vectors) < _TSNE_FROM:
        from sklearn.decomposition import PCA

        places, method = PCA(min(2, vectors.shape[1]), random_state=_state(rng)).fit_transform(vectors), "pca"
        if places.shape[1] < 2:
            places = np.column_stack([places, np.zeros(len(places))])
    else:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, len(vectors) / 4)
        found = TSNE(2, perplexity=perplexity, init="pca", max_iter=600, random_state=_state(rng)).fit_transform(
            vectors
        )
        places, method = found, "tsne"
    places = places - places.mean(axis=0)
    return 100 * places / max(float(np.abs(places).max()), 1e-9), method


def strangers(vectors: Vectors, *, limit: float = 5.0) -> NDArray[np.float64]:
    """[n]: how much further a row lies from its 5th nearest row than rows do, in robust standard deviations; 0 below `limit`.

    vectors [n, d] of length 1. In blocks, so that memory stays at n times 2,000.
    """
    n = len(vectors)
    if n <= _NEIGHBOURS + 1:
        return np.zeros(n)
    off = np.empty(n)
    for start in range(0, n, _BLOCK):
        near = vectors[start : start + _BLOCK] @ vectors.T
        # The row itself is among its neighbours, as the nearest.
        off[start : start + _BLOCK] = 1 - np.partition(near, -_NEIGHBOURS - 1, axis=1)[:, -_NEIGHBOURS - 1]
    middle = float(np.median(off))
    spread = max(1.4826 * float(np.median(np.abs(off - middle))), 0.02)
    far = (off - middle) / spread
    return np.where(far >= limit, far, 0.0)


def _state(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
