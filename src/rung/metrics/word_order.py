"""Metrics for longer free text that reward words in the reference's order: ROUGE-L, and one after METEOR."""

from __future__ import annotations

from collections.abc import Sequence

from rung.core.evaluation import Answer
from rung.core.task import Example
from rung.metrics.scoring import MeanMetric
from rung.text.alignment import align, common_length
from rung.text.stem import stem
from rung.text.tokens import tokens


class RougeL(MeanMetric):
    """Mean over answers of ROUGE-L against the best reference: F1 of the longest common subsequence (Lin 2004, section
    3.1, with beta = 1).

    Over `text.tokens`: words, and single characters of Chinese, without case, punctuation and width. Figures over words
    from a Chinese segmenter, or over English words with their articles, are not comparable to the digit.
    """

    name = "rouge_l"
    parts = ("f1",)

    def judge(self, example: Example, answer: Answer) -> float:
        said = tokens(answer.text, self.task.language)
        return max(_rouge_l(said, tokens(right, self.task.language)) for right in example.references)


def _rouge_l(said: Sequence[str], right: Sequence[str]) -> float:
    if not said or not right:
        return float(said == right)
    return 2 * common_length(said, right) / (len(said) + len(right))


class MeteorLike(MeanMetric):
    """Mean over answers of a METEOR-style score against the best reference (after Banerjee and Lavie 2005, section 2.2).

    With m words matched, P = m / words answered and R = m / words of the reference: 10 P R / (R + 9 P), less a penalty
    of up to one half, 0.5 f^3, for the fragmentation f of the matched words' order.

    What differs from METEOR, so that the figures are not interchangeable: words match by their stem or, in Chinese, as
    single characters, and never as synonyms (no WordNet, nothing to download); the stem is without suffixes of word
    formation; words come from `text.tokens`, which leaves out punctuation and English articles; the alignment is greedy,
    not searched; and f = (runs - 1) / (m - 1) in place of runs / m, so that a perfect answer scores 1 however short it
    is, where METEOR gives a perfect answer of one word 0.5.
    """

    name = "meteor_like"

    def judge(self, example: Example, answer: Answer) -> float:
        said = self._stems(answer.text)
        return max(_meteor(said, self._stems(right)) for right in example.references)

    def _stems(self, text: str) -> list[str]:
        return [stem(token) for token in tokens(text, self.task.language)]


def _meteor(said: Sequence[str], right: Sequence[str]) -> float:
    if not said or not right:
        return float(said == right)
    found = align(said, right)
    if not found.matches:
        return 0.0
    precision, recall = found.matches / len(said), found.matches / len(right)
    fragmentation = (found.runs - 1) / max(1, found.matches - 1)
    return 10 * precision * recall / (recall + 9 * precision) * (1 - 0.5 * fragmentation**3)
