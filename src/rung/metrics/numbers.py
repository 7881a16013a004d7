"""The metric of problems with one right number: is the last number of the answer the reference's?"""

from __future__ import annotations

import math

from rung.core.errors import DataError
from rung.core.evaluation import Answer
from rung.core.task import Example
from rung.metrics.scoring import MeanMetric
from rung.text.numbers import Number, find_numbers

MARK = "####"
"""What stands before the final number in GSM8K (Cobbe et al. 2021)."""
_SHOWN = 60


class FinalNumber(MeanMetric):
    """Share of answers whose final number equals a reference's.

    The final number is the first one behind the last '####' that is followed by a number, or else the last one of the text. Numbers are equal
    by value, however they are written: 1,200 and $1200 and 一千二百, 1/2 and 0.5; '50%' equals both 50 and 0.5, since a
    question may ask for either. Other units are not looked at. An answer without a number is wrong.
    """

    name = "final_number"
    parts = ("correct",)

    def judge(self, example: Example, answer: Answer) -> float:
        right = [_reference(example, text) for text in example.references]
        said = final_number(answer.text)
        return float(said is not None and any(_equal(said, number) for number in right))


def final_number(text: str) -> Number | None:
    """The number that a text ends with; None where it holds none."""
    for piece in reversed(text.split(MARK)[1:]):
        if marked := find_numbers(piece):
            return marked[0]
    found = find_numbers(text)
    return found[-1] if found else None


def _reference(example: Example, text: str) -> Number:
    number = final_number(text)
    if number is None:
        raise DataError("E2840", where=example.id, example=example.id, value=text[:_SHOWN])
    return number


def _equal(said: Number, right: Number) -> bool:
    if _close(said, right, 1.0):
        return True
    percent = [number.unit == "%" for number in (said, right)]
    return percent[0] != percent[1] and _close(said, right, 0.01 if percent[0] else 100.0)


def _close(said: Number, right: Number, factor: float) -> bool:
    return math.isclose(float(said.value) * factor, float(right.value), rel_tol=1e-6, abs_tol=1e-9)
