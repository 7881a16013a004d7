"""Ways to search, compared by the rank at which they find the marked passages of dev questions: no model is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from rung.core.answer import Hit, Item, Retriever, create_reranker
from rung.core.candidate import Recipe
from rung.core.finding import DEPTH, Finder, Helper, QueryMaker
from rung.core.found import Wording
from rung.core.model import Model
from rung.core.registry import create
from rung.core.task import Example, FitData
from rung.methods.slots import encoder_named, passages_of, passages_slot, recipe_of, seeded_sample
from rung.methods.tuning import remembering
from rung.stats.intervals import Floats
from rung.text.normalise import normalise_key

FEWEST = 8
"""Marked questions from which they tell ways apart."""
_MOST = 200
_FINALISTS = 3
"""Ways that the metric has the last word about."""
_RECORDED = 24


class Way(NamedTuple):
    """How documents are cut and searched."""

    chunk_words: int
    query: str
    fusion: str
    weights: tuple[float, float] = (1.0, 1.0)

    def point(self, usual: Way) -> dict[str, Any]:
        """What is named where it is tried: the size of the passages, and whatever is not as usual."""
        found: dict[str, Any] = {"chunk_words": self.chunk_words}
        for name in ("query", "fusion", "weights"):
            if getattr(self, name) != getattr(usual, name):
                value = getattr(self, name)
                found[name] = list(value) if name == "weights" else value
        return found


@dataclass(frozen=True)
class Ranks:
    """Where a way finds the marked passage of each question: 1, 2, ..., or infinity."""

    way: Way
    ranks: Floats

    def recall(self, k: int) -> float:
        return float((self.ranks <= k).mean())

    def worth(self, sizes: Sequence[int]) -> float:
        """Recall averaged over the numbers of passages that are still open."""
        return float(np.mean([self.recall(k) for k in sizes]))

    @property
    def mrr(self) -> float:
        return float((1 / self.ranks).mean())


@dataclass(frozen=True)
class Marked:
    """Dev questions that the documents answer and whose document is known."""

    fit: FitData
    examples: tuple[Example, ...]

    @classmethod
    def of(cls, fit: FitData) -> Marked:
        known = {document.id for document in fit.documents}
        abstain = fit.task.output.abstain
        marked = [e for e in fit.dev if known & set(e.documents) and e.references and e.references[0] != abstain]
        return cls(fit, seeded_sample(marked, _MOST, fit.seed, "marked"))

    def sample(self, most: int) -> Marked:
        """At most so many of them, the same ones every time."""
        return Marked(self.fit, seeded_sample(self.examples, most, self.fit.seed, "marked", most))

    @property
    def enough(self) -> bool:
        return len(self.examples) >= FEWEST

    def right(self, items: Iterable[Item]) -> list[frozenset[str]]:
        """For each question the passages of its documents that hold an answer word for word, or else all of them."""
        by_document: dict[str, list[Item]] = {}
        for item in items:
            by_document.setdefault(item.payload["document"], []).append(item)
        said = {item.id: normalise_key(item.text) for found in by_document.values() for item in found}
        right = []
        for example in self.examples:
            own = [item.id for name in example.documents for item in by_document.get(name, [])]
            wanted = [key for reference in example.references if (key := normalise_key(reference))]
            held = [name for name in own if any(key in said[name] for key in wanted)]
            right.append(frozenset(held or own))
        return right


def _ranks(names: Sequence[Sequence[str]], right: Sequence[frozenset[str]]) -> Floats:
    """float [n]: the rank of the first right passage, infinity where there is none."""
    return np.array(
        [
            next((rank for rank, name in enumerate(found, 1) if name in wanted), np.inf)
            for found, wanted in zip(names, right, strict=True)
        ]
    )


def compare_ways(marked: Marked, ways: Sequence[Way], model: Model) -> list[Ranks]:
    """Where each way finds the marked passages. Nothing is searched twice for ways that share a list."""
    fit = marked.fit
    found: dict[Way, Ranks] = {}
    for words in dict.fromkeys(way.chunk_words for way in ways):
        usual = recipe_of(fit, k=1, chunk_words=words)
        search = _Once(open_index(fit, usual))
        right = marked.right(passages_of(fit, usual))
        for query in dict.fromkeys(way.query for way in ways if way.chunk_words == words):
            asking = usual.model_copy(update={"query": query})
            helper = _helper(fit, asking, model)
            wordings = Finder(asking, search, helper).wordings(marked.examples)
            for way in ways:
                if (way.chunk_words, way.query) == (words, query):
                    recipe = asking.model_copy(update={"fusion": way.fusion, "weights": way.weights})
                    hits = Finder(recipe, search, helper).hits(wordings, DEPTH)
                    found[way] = Ranks(way, _ranks([[hit.item.id for hit in best] for best in hits], right))
    return [found[way] for way in ways]


class _Once:
    """Searches an index, each batch of queries once in every mode."""

    def __init__(self, index: Retriever) -> None:
        self._index = index
        self._kept: dict[tuple[tuple[str, ...], int, str], list[list[Hit]]] = {}

    def __call__(self, queries: Sequence[str], k: int, *, mode: str) -> list[list[Hit]]:
        key = (tuple(queries), k, mode)
        if key not in self._kept:
            self._kept[key] = self._index.search(queries, k, mode=mode)
        return self._kept[key]


def recipe_ranks(marked: Marked, recipe: Recipe, model: Model) -> Floats:
    """float [n]: where a whole recipe, a second ranking included, puts the marked passages."""
    fit = marked.fit
    reranker = create_reranker(recipe.rerank) if recipe.rerank else None
    deep = recipe.model_copy(update={"k": DEPTH, "drop_below": 0.0, "abstain_by": ""})
    finder = Finder(deep, open_index(fit, recipe).search, _helper(fit, recipe, model), reranker)
    right = marked.right(passages_of(fit, recipe))
    return _ranks([[passage.id for passage in one.passages] for one in finder.find(marked.examples)], right)


def reworded(fit: FitData, examples: Sequence[Example], recipe: Recipe, model: Model) -> list[Wording]:
    """What a recipe searches for in place of every question; what the model was asked before, it is not asked again."""
    maker: QueryMaker = create("wording", recipe.query)
    return maker.make(examples, _helper(fit, recipe, model))


def _helper(fit: FitData, recipe: Recipe, model: Model) -> Helper:
    return Helper(remembering(fit, recipe, model) or model, fit.task.language)


def open_index(fit: FitData, recipe: Recipe) -> Retriever:
    """The index of a recipe, built where it is not there yet."""
    folder = fit.run / "indexes" / passages_slot(fit, recipe).index.split("@")[0]
    encoder = encoder_named(recipe.encoder) if recipe.encoder else None
    found: Retriever = create("retriever", recipe.kind, folder=folder, encoder=encoder)
    return found


def ways_of(
    usual: Way,
    sizes: Sequence[int],
    queries: Sequence[str],
    fusions: Sequence[str],
    weights: Sequence[tuple[float, float]],
) -> list[Way]:
    """Every way of these values, the usual one of each size first."""
    found = []
    for words, query, fusion in product(sizes, queries, fusions):
        shares = weights if fusion == "rrf" else ((1.0, 1.0),)
        found += [Way(words, query, fusion, share) for share in shares]
    return sorted(found, key=lambda way: way[1:] != usual[1:])


def finalists(found: Sequence[Ranks], usual: Way, sizes: Sequence[int]) -> list[Way]:
    """The usual way at its best, and the others that find most; of those that rank every marked passage alike the first."""
    different: dict[tuple[float, ...], Ranks] = {}
    for ranks in found:
        different.setdefault(tuple(ranks.ranks), ranks)
    best = sorted(different.values(), key=lambda ranks: (-ranks.worth(sizes), -ranks.mrr))
    as_usual = [ranks.way for ranks in best if ranks.way[1:] == usual[1:]]
    return list(dict.fromkeys([*as_usual[:1], *(ranks.way for ranks in best)]))[:_FINALISTS]


def record(found: Sequence[Ranks], chosen: Sequence[Way], sizes: Sequence[int]) -> dict[str, Any]:
    """What the journal says of the comparison."""
    most = max(sizes)
    reach = np.min([ranks.ranks for ranks in found], axis=0)
    best = sorted(found, key=lambda ranks: (-ranks.worth(sizes), -ranks.mrr))[:_RECORDED]
    return {
        "questions": len(reach),
        "k": most,
        "within_reach": round(float((reach <= DEPTH).mean()), 4),
        "ways": [
            {**_named(ranks.way), "recall": round(ranks.recall(most), 4), "mrr": round(ranks.mrr, 4)} for ranks in best
        ],
        "tried": [_named(way) for way in chosen],
    }


def _named(way: Way) -> dict[str, Any]:
    return {**way._asdict(), "weights": list(way.weights)}
