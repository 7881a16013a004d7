"""Citations and retrieval against the documents known to hold the answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rung.core.evaluation import Answer, Score
from rung.core.registry import create
from rung.core.task import Example, OutputSpec, Task
from rung.metrics.grounding import document_of

RETRIEVAL = ("retrieval_recall", "retrieval_mrr", "retrieval_ndcg")
GROUNDING = (*RETRIEVAL, "citation_precision", "citation_recall")
TASK = Task(
    name="desk", instruction="Answer.", inputs=("q",), output=OutputSpec(kind="text"), metrics=("retrieval_recall",)
)


def score(name: str, documents: tuple[str, ...], passages: str = "", citations: str = "") -> Score:
    answer = Answer("e", "text", citations=tuple(citations.split()), passages=tuple(passages.split()))
    found: Score = create("metric", name, task=TASK).score([Example("e", {}, (), documents=documents)], [answer])[0]
    return found


def test_a_passage_counts_as_its_document() -> None:
    assert document_of("notes/rent.md#12") == "notes/rent.md"
    assert document_of("faq#old.md#3") == "faq#old.md"
    assert document_of("rent.md") == "rent.md"


@pytest.mark.parametrize(
    ("documents", "passages", "recall", "mrr", "ndcg"),
    [
        (("a",), "a#1 b#1 c#1", 1, 1, 1),
        (("a",), "b#1 b#2 a#9", 1, 1 / 3, 1 / 2),
        (("a",), "b#1 c#1", 0, 0, 0),
        (("a",), "", 0, 0, 0),
        # Further passages of a document found add nothing.
        (("a", "b"), "a#1 a#2 b#1", 1, 1, (1 + 1 / 2) / (1 + 1 / math.log2(3))),
        (("a", "b"), "a#1 a#2", 1 / 2, 1, 1 / (1 + 1 / math.log2(3))),
        # The ideal is over the passages that there are.
        (("a", "b", "c"), "b#4", 1 / 3, 1, 1),
        (("押金.md",), "租金.md#1 押金.md#2", 1, 1 / 2, 1 / math.log2(3)),
    ],
)
def test_retrieval(documents: tuple[str, ...], passages: str, recall: float, mrr: float, ndcg: float) -> None:
    values = [score(name, documents, passages).value for name in RETRIEVAL]
    assert values == pytest.approx([recall, mrr, ndcg])


def test_ndcg_as_in_sklearn() -> None:
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(0)
    for _ in range(20):
        order = rng.permutation(8)
        right = rng.choice(8, size=3, replace=False)
        relevance = [[float(n in right) for n in order]]
        theirs = ndcg_score(relevance, [list(range(8, 0, -1))])
        ours = score("retrieval_ndcg", tuple(f"{n}.md" for n in right), " ".join(f"{n}.md#1" for n in order)).value
        assert ours == pytest.approx(theirs)


@pytest.mark.parametrize(
    ("documents", "citations", "precision", "recall"),
    [
        (("a",), "a#1", 1, 1),
        (("a",), "a#1 b#1", 1 / 2, 1),
        (("a", "b"), "a#1 a#2 c#1", 2 / 3, 1 / 2),
        (("a",), "b#1", 0, 0),
    ],
)
def test_citations(documents: tuple[str, ...], citations: str, precision: float, recall: float) -> None:
    assert score("citation_precision", documents, "a#1 b#1", citations).value == pytest.approx(precision)
    assert score("citation_recall", documents, "a#1 b#1", citations).value == pytest.approx(recall)


@pytest.mark.parametrize("name", GROUNDING)
def test_without_known_documents_nothing_is_scored(name: str) -> None:
    assert score(name, (), "a#1", "a#1") == Score("unscored")


def test_an_answer_that_cites_nothing_has_no_precision_but_misses_recall() -> None:
    assert score("citation_precision", ("a",), "a#1") == Score("unscored")
    assert score("citation_recall", ("a",), "a#1") == Score("scored", 0.0)
