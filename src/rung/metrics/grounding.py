"""Metrics for answers from documents: were the right ones found, how high up, and were they the ones cited?

`Example.documents` names the documents that hold the answer; an example where nobody has marked any is unscored. A passage
counts as its document. Ranks are the order of `Answer.passages`, best first, and k is the number of passages that the
answer was given: an answer that was given none has found nothing, and scores 0.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable

from rung.core.evaluation import Answer
from rung.core.task import Example
from rung.metrics.scoring import MeanMetric


def document_of(passage: str) -> str:
    """The document that a passage was cut from: passage ids are `<document>#<n>`, or `<document>#<n> (<page>)`."""
    return passage.rpartition("#")[0] or passage


def first_ranks(right: frozenset[str], answer: Answer) -> list[int]:
    """Rank, from 1, at which each right document that was found appears first, best first."""
    first: dict[str, int] = {}
    for rank, passage in enumerate(answer.passages, 1):
        first.setdefault(document_of(passage), rank)
    return sorted(first[document] for document in right & first.keys())


class GroundingMetric(MeanMetric):
    """A mean over answers to examples whose documents are known. A subclass has a name and `judge_against`."""

    needs = frozenset({"passages"})

    def judge(self, example: Example, answer: Answer) -> float | None:
        return self.judge_against(frozenset(example.documents), answer) if example.documents else None

    @abstractmethod
    def judge_against(self, right: frozenset[str], answer: Answer) -> float | None:
        """The number, given the ids of the right documents; None where the answer cannot be judged."""


class RetrievalRecall(GroundingMetric):
    """Recall@k: share of the right documents that are among the passages, averaged over answers."""

    name = "retrieval_recall"

    def judge_against(self, right: frozenset[str], answer: Answer) -> float:
        return len(first_ranks(right, answer)) / len(right)


class RetrievalMRR(GroundingMetric):
    """Mean reciprocal rank: 1 / rank of the first passage from a right document, 0 where there is none (Voorhees 1999)."""

    name = "retrieval_mrr"

    def judge_against(self, right: frozenset[str], answer: Answer) -> float:
        return 1 / min(first_ranks(right, answer), default=math.inf)


class RetrievalNDCG(GroundingMetric):
    """nDCG@k with a gain of 1 for each right document at its first passage, none for further ones, discounted by
    log2(rank + 1); the ideal has the right documents on top (Järvelin and Kekäläinen 2002)."""

    name = "retrieval_ndcg"

    def judge_against(self, right: frozenset[str], answer: Answer) -> float:
        ideal = range(1, min(len(right), len(answer.passages)) + 1)
        return _discounted(first_ranks(right, answer)) / _discounted(ideal) if ideal else 0.0


def _discounted(ranks: Iterable[int]) -> float:
    return sum(1 / math.log2(rank + 1) for rank in ranks)


class CitationPrecision(GroundingMetric):
    """Share of an answer's citations that are of a right document, averaged over answers that cite."""

    name = "citation_precision"

    def judge_against(self, right: frozenset[str], answer: Answer) -> float | None:
        if not answer.citations:
            return None
        return sum(document_of(passage) in right for passage in answer.citations) / len(answer.citations)


class QuoteSupport(MeanMetric):
    """Share of an answer's quotations that stand in the passages it cites (in those shown, where it cites none), averaged over
    answers that quote. What counts as a quotation: `rung.core.quotes`."""

    name = "quote_support"
    needs = frozenset({"passages"})

    def judge(self, example: Example, answer: Answer) -> float | None:
        return 1 - len(answer.unsupported_quotes) / answer.quoted if answer.quoted else None


class CitationSupport(MeanMetric):
    """Share of an answer's citations that hold what they are cited for, averaged over answers that cite."""

    name = "citation_support"
    needs = frozenset({"passages"})

    def judge(self, example: Example, answer: Answer) -> float | None:
        cited = len(answer.citations)
        return 1 - len(answer.unsupported_citations) / cited if cited else None


class CitationRecall(GroundingMetric):
    """Share of the right documents that an answer cites, averaged over answers; one that cites nothing scores 0."""

    name = "citation_recall"

    def judge_against(self, right: frozenset[str], answer: Answer) -> float:
        return len(right & {document_of(passage) for passage in answer.citations}) / len(right)
