"""What every metric does alike: keep answers and examples aligned, keep failures apart, take a mean over examples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import DataError
from rung.core.evaluation import Answer, Score
from rung.core.task import Example, Task

Floats = NDArray[np.float64]
REFERENCES = frozenset({"references"})


class MeanMetric(ABC):
    """A metric that is the mean of one number an answer. A subclass has a name and `judge`; the rest is here."""

    name: str
    better: Literal["higher", "lower"] = "higher"
    needs: frozenset[str] = REFERENCES
    parts: tuple[str, ...] = ("value",)

    def __init__(self, *, task: Task) -> None:
        self.task = task

    @abstractmethod
    def judge(self, example: Example, answer: Answer) -> float | None:
        """The number, for an answer that is no failure; None where it cannot be judged."""

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return score_each(examples, answers, self._judge, references="references" in self.needs)

    def _judge(self, example: Example, answer: Answer) -> Score:
        value = self.judge(example, answer)
        return Score("unscored") if value is None else scored(self.parts[0], value)

    def aggregate(self, totals: Floats, n: Floats) -> Floats:
        return mean_of_only_part(totals, n)


def score_each(
    examples: Sequence[Example],
    answers: Sequence[Answer],
    judge: Callable[[Example, Answer], Score],
    *,
    references: bool = True,
) -> list[Score]:
    """Scores in order: `failed` where there is no answer, `unscored` where there is no reference (unless the metric
    does without: `references` False), `judge` for the rest.

    Raises DataError E2500 or E2501 where an answer is not to the example in its place.
    """
    if len(examples) != len(answers):
        raise DataError("E2500", examples=len(examples), answers=len(answers))
    found = []
    for example, answer in zip(examples, answers, strict=True):
        if answer.example != example.id:
            raise DataError("E2501", where=example.id, example=example.id, answer=answer.example)
        if answer.failure is not None:
            found.append(Score("failed"))
        elif references and not example.references:
            found.append(Score("unscored"))
        else:
            found.append(judge(example, answer))
    return found


def scored(part: str, value: float) -> Score:
    """A score that is its own only part; nothing is kept of a zero."""
    return Score("scored", value, nonzero({part: value}))


def nonzero(parts: Mapping[str, float]) -> dict[str, float]:
    """Parts as they are kept: a missing name is 0."""
    return {name: float(value) for name, value in parts.items() if value}


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """numerator / denominator, nan where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    out: Floats = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)
    return out


def mean_of_only_part(totals: Floats, n: Floats) -> Floats:
    """`Metric.aggregate` of a metric with one part that is its value."""
    return ratio(totals[..., 0], n)
