"""What every metric does alike: keep answers and examples aligned, keep failures apart, take a mean over examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import DataError
from rung.core.evaluation import Answer, Score
from rung.core.task import Example

Floats = NDArray[np.float64]


def score_each(
    examples: Sequence[Example], answers: Sequence[Answer], judge: Callable[[Example, Answer], Score]
) -> list[Score]:
    """Scores in order: `failed` where there is no answer, `unscored` where there is no reference, `judge` for the rest.

    Raises DataError E2500 where an answer is not to the example in its place.
    """
    if len(examples) != len(answers):
        raise DataError("E2500", examples=len(examples), answers=len(answers))
    return [_score(example, answer, judge) for example, answer in zip(examples, answers, strict=True)]


def _score(example: Example, answer: Answer, judge: Callable[[Example, Answer], Score]) -> Score:
    if answer.example != example.id:
        raise DataError("E2501", where=example.id, example=example.id, answer=answer.example)
    if answer.failure is not None:
        return Score("failed")
    if not example.references:
        return Score("unscored")
    return judge(example, answer)


def scored(part: str, value: float) -> Score:
    """A score that is its own only part; nothing is kept of a zero."""
    return Score("scored", value, {part: value} if value else {})


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """numerator / denominator, nan where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    out: Floats = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)
    return out


def mean_of_only_part(totals: Floats, n: Floats) -> Floats:
    """`Metric.aggregate` of a metric with one part that is its value."""
    return ratio(totals[..., 0], n)
