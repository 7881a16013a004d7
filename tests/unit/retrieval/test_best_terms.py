"""BM25's best texts: those that a sum over all texts gives, with their scores, however many postings were passed over."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from rung.core.answer import Item
from rung.retrieval.lexical import Lexical, build_lexical
from rung.retrieval.population import Callers, Part
from rung.retrieval.postings import build_postings, merge_postings
from rung.retrieval.segment import Contents, Segment, in_order, write_segment

RNG = np.random.default_rng(5)
VOCABULARY = [f"w{n}" for n in range(400)]
SHARES = 1 / np.arange(1, 401) / (1 / np.arange(1, 401)).sum()
TEXTS = [" ".join(RNG.choice(VOCABULARY, RNG.integers(1, 40), p=SHARES)) for _ in range(900)]
QUERIES = [" ".join(RNG.choice(VOCABULARY, RNG.integers(1, 12), p=SHARES)) for _ in range(25)]
QUERIES += ["w1 w1 w1 w399", "w399 w398 unknown", "nothing"]


COUNTS = [Counter(text.split()) for text in TEXTS]
LENGTHS = np.array([len(text.split()) for text in TEXTS])


def reference(living: NDArray[np.bool_], query: str) -> NDArray[np.float64]:
    """BM25 as its formula stands, over the texts that count."""
    average, n, scores = LENGTHS[living].mean(), int(living.sum()), np.zeros(len(TEXTS))
    for term in query.split():
        tf = np.array([count[term] for count in COUNTS])
        df = int((tf[living] > 0).sum())
        scores += np.log(1 + (n - df + 0.5) / (df + 0.5)) * tf / (tf + 1.5 * (0.25 + 0.75 * LENGTHS / average))
    return np.where(living, scores, 0)


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[Segment]:
    """The texts in three segments of different sizes, text n in the one that its number says."""
    folder, made = tmp_path_factory.mktemp("segments"), []
    for chosen in (range(700), range(700, 880), range(880, 900)):
        contents = Contents(in_order([Item(f"{n:04}", TEXTS[n]) for n in chosen], "texts"), "texts")
        write_segment(folder / contents.name, contents, None)
        made.append(Segment(folder / contents.name))
    return made


@pytest.mark.parametrize("k", [1, 10, 150])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.02])
def test_the_best_are_those_of_the_whole_sum(segments: list[Segment], k: int, share: float) -> None:
    living = np.random.default_rng(7).random(len(TEXTS)) < share
    firsts = [0, 700, 880, 900]
    parts = [
        Part(segment, None if share == 1 else living[first:end])
        for segment, first, end in zip(segments, firsts, firsts[1:], strict=False)
    ]
    population = Callers(parts).of(None)
    for query in QUERIES:
        wanted = reference(living, query)
        best = np.lexsort((np.arange(wanted.size), -wanted.astype(np.float32)))[:k]
        best = best[wanted[best] > 0]
        found = population.best_by_terms(query, k, [None] * 3)
        places = np.concatenate([each.places + first for each, first in zip(found, firsts, strict=False)])
        scores = np.concatenate([each.scores for each in found])
        order = np.lexsort((places, -scores))[:k]
        assert places[order].tolist() == best.tolist()
        assert scores[order] == pytest.approx(wanted[best], rel=1e-6)
    assert not any(segment.workspace.sums.any() for segment in segments)


def test_merged_postings_are_those_of_one_build() -> None:
    order = np.random.default_rng(8).permutation(len(TEXTS))
    halves, dropped = [order[:400], order[400:]], set(order[::7].tolist())
    kept = [n for n in range(len(TEXTS)) if n not in dropped]
    place = {n: at for at, n in enumerate(kept)}
    parts = [build_postings([TEXTS[n] for n in half]) for half in halves]
    places = [np.array([place.get(n, -1) for n in half.tolist()], np.int32) for half in halves]
    merged = merge_postings(parts, places, len(kept))
    fresh = build_postings([TEXTS[n] for n in kept])
    assert merged.arrays().keys() == fresh.arrays().keys()
    for name, array in fresh.arrays().items():
        assert np.array_equal(merged.arrays()[name], array), name


def test_all_scores_at_once_are_the_same_formula() -> None:
    lexical = build_lexical(TEXTS)
    scores = lexical.scores(QUERIES)
    for row, query in zip(scores, QUERIES, strict=True):
        assert row == pytest.approx(reference(np.ones(len(TEXTS), np.bool_), query), rel=1e-5)


def test_texts_without_terms() -> None:
    assert build_lexical(["?!", ""]).scores(["words", ""]).tolist() == [[0, 0], [0, 0]]
    assert Lexical(build_postings([])).scores(["words"]).shape == (1, 0)


def test_a_term_may_be_counted_more_often_than_a_byte_holds() -> None:
    postings = build_postings(["no " * 70_000, "no"])
    (row,) = postings.lookup.find(["no"], postings.terms)
    assert postings.list_of(row)[1].tolist() == [70_000, 1]
