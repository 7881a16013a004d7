"""Metrics for free text with reference answers: exact match, and the overlap of words or characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rung.core.evaluation import Answer
from rung.core.task import Example, Language
from rung.metrics.scoring import MeanMetric
from rung.text.normalise import normalise_answer
from rung.text.tokens import tokens


class ExactMatch(MeanMetric):
    """Share of answers that equal a reference after `normalise_answer`. The task's abstain text is a text like any
    other."""

    name = "exact_match"
    parts = ("correct",)

    def judge(self, example: Example, answer: Answer) -> float:
        language = self.task.language
        right = {normalise_answer(reference, language) for reference in example.references}
        return float(normalise_answer(answer.text, language) in right)


class TokenF1(MeanMetric):
    """Mean over answers of the F1 of its tokens against the best reference (Rajpurkar et al. 2016, section 6.1)."""

    name = "token_f1"
    parts = ("f1",)

    def judge(self, example: Example, answer: Answer) -> float:
        return token_f1(answer.text, example.references, self.task.language)


def token_f1(text: str, references: Sequence[str], language: Language) -> float:
    """`TokenF1` of one text; at least one reference."""
    said = tokens(text, language)
    return max(overlap(said, tokens(right, language)) for right in references)


def overlap(said: Sequence[str], right: Sequence[str]) -> float:
    """F1 of two bags of tokens; two empty bags are equal."""
    if not said or not right:
        return float(said == right)
    shared = sum((Counter(said) & Counter(right)).values())
    return 2 * shared / (len(said) + len(right))
