"""Errors of a retrieval system told apart: the document was not found, or it was found and not read rightly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rung.core.evaluation import Answer
from rung.core.task import Example
from rung.experiment.evaluate import number
from rung.metrics.grounding import document_of
from rung.stats.intervals import wilson
from rung.store.diagnosis import Mark, RetrievalFailures
from rung.store.records import Interval


def failures_of(
    name: str,
    examples: Sequence[Example],
    answers: Mapping[str, Answer],
    marks: Mapping[str, Mark],
    gold: Mapping[str, Mark] | None = None,
) -> RetrievalFailures:
    """Misses and reading failures over the questions that have a mark. A passage `<document>#<n>` is one of its document.

    Where no answer at all says what was retrieved, nothing is told; else an answer without passages found none.
    `gold`: what became of the questions once the gold passage was shown.
    """
    says = any(answer.passages for answer in answers.values())
    told = [e for e in examples if says and e.id in marks and e.documents]
    errors = [e for e in examples if e.id in marks and marks[e.id] != "right"]
    wrong = [e for e in told if marks[e.id] != "right"]
    misses = sum(not _found(e, answers[e.id]) for e in wrong)
    share = wilson(misses, len(wrong))
    beside = [e for e in errors if gold is not None and e.id in gold]
    return RetrievalFailures(
        name=name,
        n=len(told),
        right=len(told) - len(wrong),
        misses=misses,
        reading=len(wrong) - misses,
        miss_share=Interval(
            point=misses / len(wrong) if wrong else None, low=number(share.low), high=number(share.high)
        ),
        not_told=len(errors) - len(wrong),
        fixed_by_gold=sum(gold[e.id] == "right" for e in beside) if gold is not None else None,
        errors=len(beside),
    )


def _found(example: Example, answer: Answer) -> bool:
    return bool({document_of(passage) for passage in answer.passages} & set(example.documents))
