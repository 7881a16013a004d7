"""From questions to the passages that their prompts show: search words, search, a second ranking, and what is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from rung.core.candidate import Recipe
from rung.core.found import Effort, Found, Scored, Wording
from rung.core.model import Model
from rung.core.registry import create
from rung.core.task import Example, Passage

if TYPE_CHECKING:
    from rung.core.answer import Hit, Item

Search = Callable[..., "list[list[Hit]]"]
"""(queries, k, mode=) -> the hits of every query, as `Retriever.search`; what a caller may see is bound to it."""
AS_ASKED = "as_asked"
DEPTH = 100
"""Ranks of each list that take part in a fusion."""
_RRF_K = 60
"""The constant of reciprocal rank fusion (Cormack et al. 2009), as in `retrieval.hybrid`."""


@dataclass(frozen=True)
class Helper:
    """Whom a part may ask while a question is prepared, and in which language."""

    model: Model
    language: str


class QueryMaker(Protocol):
    """What makes the search words of questions; made without arguments. One that puts something to a model has `asks_model`."""

    def make(self, examples: Sequence[Example], helper: Helper) -> list[Wording]:
        """The wording of every question, in order; one that cannot be made is searched as asked, and says why."""
        ...


@dataclass(frozen=True)
class Judged:
    """Scores of pairs, between 0 and 1, and what each took."""

    scores: tuple[float, ...]
    efforts: tuple[Effort, ...]


class Reranker(Protocol):
    """What ranks found passages once more; made as `Reranker()`, or as `Reranker(path=)` where it lies in a folder.

    One that puts something to a model has `asks_model`.
    """

    id: str

    def score(self, pairs: Sequence[tuple[str, str]], helper: Helper) -> Judged:
        """How well each passage answers its question: pairs of (question, passage)."""
        ...


@dataclass(frozen=True)
class Finding:
    """Passages for a prompt, best first, and how they came about."""

    passages: tuple[Passage, ...] = ()
    found: Found | None = None


@dataclass(frozen=True)
class Finder:
    """A recipe with its loaded parts."""

    recipe: Recipe
    search: Search
    helper: Helper
    reranker: Reranker | None = None

    def wordings(self, examples: Sequence[Example]) -> list[Wording]:
        """What is searched for in place of every question."""
        if self.recipe.query == AS_ASKED:
            return [Wording((example.asked,)) for example in examples]
        maker: QueryMaker = create("wording", self.recipe.query)
        return maker.make(examples, self.helper)

    def hits(self, wordings: Sequence[Wording], k: int) -> list[list[Hit]]:
        """The k best of every wording as the index ranks them; lists of several texts are fused."""
        texts = [text for wording in wordings for text in wording.texts]
        each = max(k, DEPTH) if len(texts) > len(wordings) else k
        lists = iter(self._lists(texts, each))
        found = [[next(lists) for _ in wording.texts] for wording in wordings]
        return [several[0][:k] if len(several) == 1 else fuse_hits(several, k=k) for several in found]

    def _lists(self, texts: Sequence[str], k: int) -> list[list[Hit]]:
        lexical, dense = self.recipe.weights
        if self.recipe.fusion != "rrf" or lexical == dense:
            return self.search(texts, k, mode=self.recipe.fusion)
        both = [self.search(texts, max(k, DEPTH), mode=mode) for mode in ("lexical", "dense")]
        return [fuse_hits(pair, (lexical, dense), k=k) for pair in zip(*both, strict=True)]

    def find(self, examples: Sequence[Example]) -> list[Finding]:
        """Every question's passages: at most k, best first."""
        recipe, wordings = self.recipe, self.wordings(examples)
        depth = max(recipe.k, recipe.rerank_depth) if self.reranker else recipe.k
        lists = self.hits(wordings, depth)
        ranked, efforts = self._ranked(wordings, lists)
        signals = self._signals(wordings, ranked)
        findings = []
        for n, (example, wording, hits) in enumerate(zip(examples, wordings, lists, strict=True)):
            best, signal = ranked[n][: recipe.k], signals[n]
            strong = [hit for hit in best if not recipe.drop_below or hit.score >= recipe.drop_below * best[0].score]
            found = Found(
                asked=example.asked,
                searched=wording.texts,
                hits=_scored(hits),
                ranked=_scored(ranked[n]) if self.reranker else (),
                too_weak=tuple(hit.item.id for hit in best if hit not in strong),
                failure=wording.failure,
                signal=signal,
                abstain=signal is not None and signal < recipe.abstain_below,
                effort=sum(efforts[n], wording.effort),
            )
            findings.append(Finding(tuple(passage_of(hit.item) for hit in strong), found))
        return findings

    def _ranked(
        self, wordings: Sequence[Wording], lists: Sequence[Sequence[Hit]]
    ) -> tuple[list[list[Hit]], list[list[Effort]]]:
        """The hits in their final order, with the scores that decide it, and what a second ranking took."""
        if self.reranker is None:
            return [list(hits) for hits in lists], [[] for _ in lists]
        pairs = [
            (wording.texts[0], hit.item.text)
            for wording, hits in zip(wordings, lists, strict=True)
            for hit in hits[: self.recipe.rerank_depth]
        ]
        judged = self.reranker.score(pairs, self.helper)
        scores, efforts = iter(judged.scores), iter(judged.efforts)
        ranked, spent = [], []
        for hits in lists:
            anew = [replace(hit, score=next(scores)) for hit in hits[: self.recipe.rerank_depth]]
            spent.append([next(efforts) for _ in anew])
            # A stable sort: of equals the one that the index prefers stays in front.
            ranked.append(sorted(anew, key=lambda hit: -hit.score))
        return ranked, spent

    def _signals(self, wordings: Sequence[Wording], ranked: Sequence[Sequence[Hit]]) -> list[float | None]:
        """The score that says whether the documents hold an answer; 0 where nothing was found."""
        by = self.recipe.abstain_by
        if not by:
            return [None] * len(wordings)
        lists = ranked if by == "rerank" else self.search([wording.texts[0] for wording in wordings], 1, mode=by)
        return [hits[0].score if hits else 0.0 for hits in lists]


def passage_of(item: Item) -> Passage:
    """An item of an index over documents, as a prompt shows it and a citation names it."""
    known = {name: item.payload[name] for name in ("document", "title", "start", "end") if name in item.payload}
    return Passage(id=item.id, text=item.text, **known)


def fuse_hits(lists: Sequence[Sequence[Hit]], weights: Sequence[float] = (), *, k: int) -> list[Hit]:
    """Weighted reciprocal rank fusion: weight / (60 + rank), summed over the lists that hold an item; the lower id wins a tie."""
    scores: dict[str, float] = defaultdict(float)
    hits: dict[str, Hit] = {}
    for found, weight in zip(lists, weights or [1.0] * len(lists), strict=True):
        if weight <= 0:
            continue
        for rank, hit in enumerate(found, 1):
            scores[hit.item.id] += weight / (_RRF_K + rank)
            hits.setdefault(hit.item.id, hit)
    best = sorted(scores, key=lambda name: (-scores[name], name))[:k]
    return [replace(hits[name], score=scores[name]) for name in best]


def _scored(hits: Sequence[Hit]) -> tuple[Scored, ...]:
    return tuple(Scored(hit.item.id, hit.score) for hit in hits)
