"""Metrics for free text with reference answers: exact match, and the overlap of words or characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from rung.core.evaluation import Answer, Score
from rung.core.task import Example, Task
from rung.metrics.scoring import Floats, mean_of_only_part, score_each, scored
from rung.text.normalise import normalise_answer
from rung.text.tokens import tokens


class ExactMatch:
    """Share of answers that equal a reference after `normalise_answer`. The task's abstain text is a text like any
    other."""

    name = "exact_match"
    better: Literal["higher", "lower"] = "higher"
    needs = frozenset({"references"})
    parts: tuple[str, ...] = ("correct",)

    def __init__(self, *, task: Task) -> None:
        self._language = task.language

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return score_each(examples, answers, self._judge)

    def _judge(self, example: Example, answer: Answer) -> Score:
        right = {normalise_answer(reference, self._language) for reference in example.references}
        return scored("correct", float(normalise_answer(answer.text, self._language) in right))

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        return mean_of_only_part(totals, n)


class TokenF1:
    """Mean over answers of the F1 of its tokens against the best reference (Rajpurkar et al. 2016, section 6.1)."""

    name = "token_f1"
    better: Literal["higher", "lower"] = "higher"
    needs = frozenset({"references"})
    parts: tuple[str, ...] = ("f1",)

    def __init__(self, *, task: Task) -> None:
        self._language = task.language

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return score_each(examples, answers, self._judge)

    def _judge(self, example: Example, answer: Answer) -> Score:
        said = tokens(answer.text, self._language)
        return scored("f1", max(overlap(said, tokens(right, self._language)) for right in example.references))

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        return mean_of_only_part(totals, n)


def overlap(said: Sequence[str], right: Sequence[str]) -> float:
    """F1 of two bags of tokens; two empty bags are equal."""
    if not said or not right:
        return float(said == right)
    shared = sum((Counter(said) & Counter(right)).values())
    return 2 * shared / (len(said) + len(right))
