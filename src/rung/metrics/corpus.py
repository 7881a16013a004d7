"""Metrics of translation that count n-grams over the whole test set: BLEU and chrF, equal to sacrebleu's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from rung.core.evaluation import Answer, Score
from rung.core.task import Example, Task
from rung.metrics.scoring import REFERENCES, Floats, nonzero, ratio, score_each

ORDERS = range(1, 5)
CHARACTER_ORDERS = range(1, 7)
BETA = 2.0


class Bleu:
    """Corpus BLEU (Papineni et al. 2002), from 0 to 1: sacrebleu's `corpus_bleu` / 100 over the scored answers.

    Its tokeniser is 13a, or zh for a task in Chinese; its smoothing is the default one ('exp'). Case, punctuation and
    full-width forms count, since published figures count them. `Score.value`, which only describes a single answer, is
    the sentence's BLEU over the orders that it has.
    """

    name = "bleu"
    better: Literal["higher", "lower"] = "higher"
    needs = REFERENCES
    parts: tuple[str, ...] = (
        *(f"matched:{n}" for n in ORDERS),
        *(f"said:{n}" for n in ORDERS),
        "length",
        "reference_length",
    )

    def __init__(self, *, task: Task) -> None:
        self._counter = BLEU(tokenize="zh" if task.language == "zh" else "13a", effective_order=True)

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return score_each(examples, answers, self._judge)

    def _judge(self, example: Example, answer: Answer) -> Score:
        found = self._counter.sentence_score(answer.text, list(example.references))
        counts = (*found.counts, *found.totals, found.sys_len, found.ref_len)
        return Score("scored", found.score / 100, nonzero(dict(zip(self.parts, counts, strict=True))))

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        """Geometric mean of the precisions of n-grams, times the brevity penalty."""
        matched, said, length, reference = totals[..., :4], totals[..., 4:8], totals[..., 8], totals[..., 9]
        none = matched == 0
        # The first order without a match counts as half a match, the next as a quarter (Chen and Cherry 2014, method 3).
        precision = np.where(none, 0.5 ** np.cumsum(none, axis=-1), matched) / np.maximum(said, 1)
        brevity = np.exp(np.minimum(0.0, 1 - reference / np.maximum(length, 1)))
        defined = (said > 0).all(axis=-1) & (matched > 0).any(axis=-1)
        value = np.where(defined, brevity * np.exp(np.log(precision).mean(axis=-1)), 0.0)
        return np.where(np.asarray(n) > 0, value, np.nan)


class ChrF:
    """Corpus chrF (Popović 2015), from 0 to 1: sacrebleu's `corpus_chrf` / 100 over the scored answers.

    F2 of character n-grams up to six, white space left out, so that it needs no tokeniser in either language. Case,
    punctuation and full-width forms count. Of several references, the one that the answer is nearest to counts.
    """

    name = "chrf"
    better: Literal["higher", "lower"] = "higher"
    needs = REFERENCES
    parts: tuple[str, ...] = tuple(f"{side}:{n}" for side in ("said", "right", "matched") for n in CHARACTER_ORDERS)

    def __init__(self, *, task: Task) -> None:
        del task  # every language is counted alike

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return score_each(examples, answers, self._judge)

    def _judge(self, example: Example, answer: Answer) -> Score:
        said = _ngrams(answer.text)
        counts = np.array([_matches(said, _ngrams(reference)) for reference in example.references])
        values = _f_beta(counts)
        best = int(values.argmax())
        return Score("scored", float(values[best]), nonzero(dict(zip(self.parts, counts[best], strict=True))))

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        return np.where(np.asarray(n) > 0, _f_beta(totals), np.nan)


def _ngrams(text: str) -> list[Counter[str]]:
    """Counts of character n-grams, by order."""
    line = "".join(text.split())
    return [Counter(line[i : i + n] for i in range(len(line) - n + 1)) for n in CHARACTER_ORDERS]


def _matches(said: Sequence[Counter[str]], right: Sequence[Counter[str]]) -> list[float]:
    """The parts of one answer. N-grams longer than the reference are not held against the answer."""
    sides = list(zip(said, right, strict=True))
    return [
        *(float(mine.total() if theirs else 0) for mine, theirs in sides),
        *(float(theirs.total()) for _, theirs in sides),
        *(float((mine & theirs).total()) for mine, theirs in sides),
    ]


def _f_beta(totals: Floats) -> Floats:
    """[..., 18] -> [...]: F-beta of precision and recall, each averaged over the orders that both sides have."""
    k = len(CHARACTER_ORDERS)
    said, right, matched = totals[..., :k], totals[..., k : 2 * k], totals[..., 2 * k :]
    both = (said > 0) & (right > 0)
    precision, recall = (
        np.divide(matched, side, out=np.zeros((*totals.shape[:-1], k)), where=both).sum(axis=-1)
        for side in (said, right)
    )
    orders = both.sum(axis=-1)
    value = ratio((1 + BETA**2) * precision * recall, (BETA**2 * precision + recall) * orders)
    return np.nan_to_num(value, nan=0.0)
