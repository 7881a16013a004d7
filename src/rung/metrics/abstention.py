"""Metrics of the "I don't know" policy: how often the task's abstain text is given, whether rightly, and what the rest is worth.

An answer abstains when it is `output.abstain` after `normalise_answer`; a question is unanswerable when a reference is. These
are read beside a metric of quality, not in its place: whoever abstains on hard questions answers the rest better. A
question that a metric does not look at is unscored for it.
"""

from __future__ import annotations

import numpy as np

from rung.core.errors import DataError
from rung.core.evaluation import Answer, Score
from rung.core.task import Example, Task
from rung.metrics.scoring import Floats, MeanMetric, nonzero, ratio
from rung.metrics.text import token_f1
from rung.text.normalise import normalise_answer


class AbstentionMetric(MeanMetric):
    """A mean that tells abstentions from answers. Raises DataError E2610 for a task without an abstain text."""

    def __init__(self, *, task: Task) -> None:
        super().__init__(task=task)
        if not task.output.abstain:
            raise DataError("E2610", metric=self.name)
        self._form = normalise_answer(task.output.abstain, task.language)

    def abstains(self, answer: Answer) -> bool:
        return self._is_abstain(answer.text)

    def unanswerable(self, example: Example) -> bool:
        return any(self._is_abstain(reference) for reference in example.references)

    def _is_abstain(self, text: str) -> bool:
        return normalise_answer(text, self.task.language) == self._form


class AnsweredShare(AbstentionMetric):
    """Share of questions that are answered, that is, not abstained from: coverage."""

    name = "answered_share"
    needs = frozenset()

    def judge(self, example: Example, answer: Answer) -> float:
        return float(not self.abstains(answer))


class AbstainPrecision(AbstentionMetric):
    """Of the abstentions, the share on unanswerable questions; nan when nothing is abstained from."""

    name = "abstain_precision"

    def judge(self, example: Example, answer: Answer) -> float | None:
        return float(self.unanswerable(example)) if self.abstains(answer) else None


class AbstainRecall(AbstentionMetric):
    """Of the unanswerable questions, the share abstained from; nan when every question can be answered."""

    name = "abstain_recall"

    def judge(self, example: Example, answer: Answer) -> float | None:
        return float(self.abstains(answer)) if self.unanswerable(example) else None


class AnsweredF1(AbstentionMetric):
    """Token F1 over the questions that can be answered and were: neither a right nor a wrong abstention counts."""

    name = "answered_f1"

    def judge(self, example: Example, answer: Answer) -> float | None:
        if self.unanswerable(example) or self.abstains(answer):
            return None
        return token_f1(answer.text, example.references, self.task.language)


class AnswerableBalance(AbstentionMetric):
    """How well questions with and without an answer are told apart: the mean of the share of answerable questions that are
    answered and the share of unanswerable ones that are abstained from (balanced accuracy). Always answering, or never, is
    worth one half; nan without questions of both kinds. Whether an answer is right plays no part."""

    name = "answerable_balance"
    parts = ("answerable", "answered", "unanswerable", "abstained")

    def judge(self, example: Example, answer: Answer) -> float:
        return float(self.abstains(answer) == self.unanswerable(example))

    def _judge(self, example: Example, answer: Answer) -> Score:
        right, without = self.judge(example, answer), float(self.unanswerable(example))
        values = {"answerable": 1 - without, "answered": right * (1 - without), "unanswerable": without}
        return Score("scored", right, nonzero({**values, "abstained": right * without}))

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        shares = [ratio(totals[..., 1], totals[..., 0]), ratio(totals[..., 3], totals[..., 2])]
        balance: Floats = np.mean(shares, axis=0)
        return balance
