"""The k best texts by BM25 without looking at most postings: MaxScore, with whole posting lists at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.retrieval.postings import Postings

_SLACK = 1e-5
"""Share by which a sum in float32 may be off."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """A term of a query in one set of postings. `weight`: idf, times how often the query has it."""

    row: int
    weight: float
    bound: float
    """The most it can add to a text's score."""


@dataclass(frozen=True, slots=True)
class Found:
    """Texts and their exact scores, best first; of equal ones the lower place first."""

    places: NDArray[np.int64]
    scores: NDArray[np.float64]


class Workspace(threading.local):
    """One number a text, all zero between two searches; every thread has its own."""

    def __init__(self, texts: int) -> None:
        self.sums = np.zeros(texts, np.float32)


def best_by_terms(
    postings: Postings,
    asked: Sequence[Asked],
    k: int,
    *,
    norm: NDArray[np.float64],
    allowed: Mask | None,
    least: float,
    workspace: Workspace,
) -> Found:
    """The k texts with the highest sums of weight * tf / (tf + norm[length]), of those `allowed`; none below `least`.

    `asked`: the query's terms in an order that does not depend on the postings, since scores are summed in it. Lists are
    added whole, by falling bound, until the bounds that are left cannot bring a new text among the best; what the others
    add is then looked up for the texts that can still get there (MaxScore: Turtle and Flood 1995).
    """
    falling = sorted(asked, key=lambda term: -term.bound)
    rest = np.cumsum([0.0, *(term.bound for term in reversed(falling))])[::-1]
    norm32 = norm.astype(np.float32)
    sums = workspace.sums
    cut = least
    added: list[NDArray[np.int32]] = []
    places, partial = np.zeros(0, np.int64), np.zeros(0, np.float32)
    try:
        for n, term in enumerate(falling):
            if rest[n] * (1 + _SLACK) < cut:
                break
            docs, counts = postings.list_of(term.row)
            added.append(docs)
            sums[docs] += _weights(postings, docs, counts, norm32, term.weight)
            # The sums of any k texts bound the k-th best from below.
            cut = max(cut, _kth(sums, docs, k, allowed, cut))
        least = cut * (1 - _SLACK) - rest[len(added)]
    finally:
        places, partial = _taken(sums, added, least, allowed)
    for n, term in enumerate(falling[len(added) :], len(added)):
        places, partial = _hopeful(places, partial, k, cut, rest[n])
        docs, counts = postings.list_of(term.row)
        at = _where(docs, places)
        here = np.flatnonzero(docs[at] == places)
        there = places[here]
        partial[here] += _weights(postings, there, counts[at[here]], norm32, term.weight)
    places, _ = _hopeful(places, partial, k, cut, 0)
    exact = exact_scores(postings, asked, places, norm)
    order = np.lexsort((places, -exact))[:k]
    return Found(places[order], exact[order])


def _hopeful(
    places: NDArray[np.int64], partial: NDArray[np.float32], k: int, cut: float, rest: float
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Texts whose sums, and what they may gain of `rest`, reach the k-th best."""
    if places.size > k:
        cut = max(cut, float(np.partition(partial, -k)[-k]))
    kept = partial >= cut * (1 - _SLACK) - rest
    return places[kept], partial[kept]


def exact_scores(
    postings: Postings, asked: Sequence[Asked], places: NDArray[np.int64], norm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64 [n]: BM25 of texts, summed in the order of `asked` and rounded to float32, so that what is equal ties."""
    scores = np.zeros(places.size)
    own = norm[postings.lengths[places]]
    for term in asked:
        docs, counts = postings.list_of(term.row)
        at = _where(docs, places)
        tf = np.where(docs[at] == places, counts[at], 0)
        scores += term.weight * (tf / (tf + own))
    return scores.astype(np.float32).astype(np.float64)


def _where(docs: NDArray[np.int32], places: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each place would stand in a list; a place that is not in it gets any other."""
    # Of the list's own type: the list would be copied into a common one.
    at = np.searchsorted(docs, places.astype(np.int32))
    at[at == docs.size] = 0
    return at


def _weights(
    postings: Postings, docs: NDArray[Any], counts: NDArray[Any], norm: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    tf = counts.astype(np.float32)
    found: NDArray[np.float32] = tf / (tf + norm[postings.lengths[docs]]) * np.float32(weight)
    return found


def _kth(sums: NDArray[np.float32], docs: NDArray[np.int32], k: int, allowed: Mask | None, cut: float) -> float:
    """The k-th highest sum of some texts, where it is above `cut`."""
    values = sums[docs]
    above = values > cut
    if allowed is not None:
        above &= allowed[docs]
    values = values[above]
    return float(np.partition(values, -k)[-k]) if values.size >= k else cut


def _taken(
    sums: NDArray[np.float32], added: Sequence[NDArray[np.int32]], least: float, allowed: Mask | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Texts with a sum of at least `least`, and their sums; every sum is set back to zero."""
    places, partial = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for docs in added:
        values = sums[docs]
        # A text of several lists is taken with the first: its sum is zero at the next.
        kept = (values >= least) & (values > 0)
        if allowed is not None:
            kept &= allowed[docs]
        places.append(docs[kept].astype(np.int64))
        partial.append(values[kept])
        sums[docs] = 0
    return np.concatenate(places), np.concatenate(partial)
