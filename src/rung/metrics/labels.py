"""Metrics for one label out of a set: accuracy; precision, recall and F1 averaged over labels; the confusion table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import DataError
from rung.core.evaluation import Answer, Score
from rung.core.task import Example, Task
from rung.metrics.scoring import REFERENCES, Floats, MeanMetric, ratio, score_each
from rung.text.normalise import normalise_label


class LabelSet:
    """The labels of a task, and how a text is read as one of them: as it stands, or else after `normalise_label`."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(dict.fromkeys(labels))
        self._known = frozenset(self.labels)
        forms = [normalise_label(label) for label in self.labels]
        uses = Counter(forms)
        # Labels that only case or width tells apart are read as they stand.
        self._by_form = {form: label for form, label in zip(forms, self.labels, strict=True) if uses[form] == 1}

    def read(self, text: str) -> str | None:
        """The label, or None for a text that is none of them."""
        return text if text in self._known else self._by_form.get(normalise_label(text))

    def references(self, example: Example) -> list[str]:
        """An example's right labels. Raises DataError E2502 for a reference that is no label."""
        found = [self.read(reference) for reference in example.references]
        if None in found:
            wrong = example.references[found.index(None)]
            raise DataError("E2502", where=example.id, example=example.id, value=wrong, labels=len(self.labels))
        return [label for label in found if label is not None]

    def pair(self, example: Example, answer: Answer) -> tuple[str, str | None]:
        """(right label, answered label): of several right ones, the one that was answered, or else the first."""
        right, said = self.references(example), self.read(answer.text)
        return (said if said in right else right[0], said)


class Accuracy(MeanMetric):
    """Share of answers that are a right label. A text that is no label is wrong; without a label set, texts are
    compared."""

    name = "accuracy"
    parts = ("correct",)

    def __init__(self, *, task: Task) -> None:
        super().__init__(task=task)
        self._labels = LabelSet(task.output.labels)

    def judge(self, example: Example, answer: Answer) -> float:
        if self._labels.labels:
            right, said = self._labels.pair(example, answer)
            return float(said == right)
        return float(normalise_label(answer.text) in {normalise_label(reference) for reference in example.references})


class MacroMetric(ABC):
    """A ratio of the counts tp, fp and fn of every label, averaged over labels with equal weight. A subclass has a name
    and `divisor`; the rest is here. Raises DataError E2503 for a task without labels."""

    name: str
    better: Literal["higher", "lower"] = "higher"
    needs = REFERENCES

    def __init__(self, *, task: Task) -> None:
        if not task.output.labels:
            raise DataError("E2503", metric=self.name)
        self._labels = LabelSet(task.output.labels)
        self.parts = tuple(f"{count}:{label}" for count in ("tp", "fp", "fn") for label in self._labels.labels)

    @abstractmethod
    def divisor(self, tp: Floats, fp: Floats, fn: Floats) -> Floats:
        """What true positives are divided by, in the shape of the counts."""

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        """An answer that is no label misses its own label, and is a false alarm for none."""
        return score_each(examples, answers, self._judge)

    def _judge(self, example: Example, answer: Answer) -> Score:
        right, said = self._labels.pair(example, answer)
        if said == right:
            return Score("scored", 1.0, {f"tp:{right}": 1.0})
        return Score("scored", 0.0, {f"fn:{right}": 1.0} | ({f"fp:{said}": 1.0} if said is not None else {}))

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        """Mean over labels; nan without any.

        A label that is neither a reference nor an answer among these examples says nothing and is left out; one that
        is counts, as 0 where the ratio is not defined (as scikit-learn does with zero_division=0).
        """
        k = totals.shape[-1] // 3
        tp, fp, fn = totals[..., :k], totals[..., k : 2 * k], totals[..., 2 * k :]
        denominator = self.divisor(tp, fp, fn)
        values = np.divide(tp, denominator, out=np.zeros(tp.shape), where=denominator > 0)
        return ratio(values.sum(axis=-1), (tp + fp + fn > 0).sum(axis=-1))


class MacroF1(MacroMetric):
    """F1 = tp / (tp + (fp + fn) / 2) of every label, averaged over labels with equal weight."""

    name = "macro_f1"

    def divisor(self, tp: Floats, fp: Floats, fn: Floats) -> Floats:
        return tp + (fp + fn) / 2


class MacroPrecision(MacroMetric):
    """Precision = tp / (tp + fp) of every label, averaged over labels with equal weight."""

    name = "macro_precision"

    def divisor(self, tp: Floats, fp: Floats, fn: Floats) -> Floats:
        return tp + fp


class MacroRecall(MacroMetric):
    """Recall = tp / (tp + fn) of every label, averaged over labels with equal weight."""

    name = "macro_recall"

    def divisor(self, tp: Floats, fp: Floats, fn: Floats) -> Floats:
        return tp + fn


@dataclass(frozen=True, slots=True)
class Mistake:
    """One label answered in place of another, `count` times."""

    reference: str
    answer: str
    count: int


@dataclass(frozen=True)
class Confusion:
    """How often each label (row) was answered with each label (column); with `other` and `failed`, all its examples."""

    labels: tuple[str, ...]
    counts: NDArray[np.int64]
    """[k, k]"""
    other: NDArray[np.int64]
    """[k]: answers that are no label."""
    failed: NDArray[np.int64]
    """[k]: no answer."""
    unscored: int
    """Examples without a reference; in no row."""

    def mistakes(self) -> list[Mistake]:
        """Labels taken for one another, most frequent first."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        found = [Mistake(self.labels[i], self.labels[j], int(wrong[i, j])) for i, j in np.argwhere(wrong)]
        return sorted(found, key=lambda mistake: -mistake.count)


def confusion(examples: Sequence[Example], answers: Sequence[Answer], labels: Sequence[str] = ()) -> Confusion:
    """The confusion table. Without `labels`, those of the references count, in alphabetical order.

    Raises DataError E2500, E2501 or E2502 for misaligned answers and unknown references.
    """
    book = LabelSet(labels or sorted({reference for example in examples for reference in example.references}))
    row = {label: i for i, label in enumerate(book.labels)}
    counts = np.zeros((len(row), len(row)), dtype=np.int64)
    other, failed = np.zeros(len(row), dtype=np.int64), np.zeros(len(row), dtype=np.int64)

    def judge(example: Example, answer: Answer) -> Score:
        right, said = book.pair(example, answer)
        if said is None:
            other[row[right]] += 1
        else:
            counts[row[right], row[said]] += 1
        return Score("scored")

    scores = score_each(examples, answers, judge)
    for example, score in zip(examples, scores, strict=True):
        if score.status == "failed" and example.references:
            failed[row[book.references(example)[0]]] += 1
    return Confusion(book.labels, counts, other, failed, sum(not example.references for example in examples))
