"""Metrics for JSON answers: the share of fields that are right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rung.core.errors import DataError
from rung.core.evaluation import Answer
from rung.core.task import Example
from rung.metrics.scoring import MeanMetric
from rung.text.normalise import normalise_label
from rung.text.strict_json import read_json, write_json


class JsonMatch(MeanMetric):
    """Mean over answers of the share of fields that equal the best reference's.

    A field is a path to a value; nested objects are entered. What an array holds is compared without regard to order,
    each element as a whole. Fields that are missing and fields that are too many count against the answer alike, and
    every example weighs the same, however many fields it has. Texts are equal after `normalise_label`, numbers by
    value; true is not 1. An answer that is no JSON has no right field.
    """

    name = "json_match"
    parts = ("share",)

    def judge(self, example: Example, answer: Answer) -> float:
        right = [_reference(example, text) for text in example.references]
        try:
            said = fields(read_json(answer.text))
        except ValueError:
            return 0.0
        return max(_share(said, reference) for reference in right)


Fields = Counter[tuple[str, str]]


def _reference(example: Example, text: str) -> Fields:
    try:
        return fields(read_json(text))
    except ValueError as error:
        raise DataError("E2505", where=example.id, example=example.id, reason=str(error)) from error


def fields(value: Any) -> Fields:
    """Every (path, value) of a JSON value with how often it occurs; paths and values in one canonical form."""
    return Counter(_walk(value, ""))


def _walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _walk(inner, f"{path}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list) and value:
        yield from ((f"{path}/[]", write_json(_canonical(inner))) for inner in value)
    else:
        yield path, write_json(_canonical(value))


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _canonical(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted((_canonical(inner) for inner in value), key=write_json)
    if isinstance(value, str):
        return normalise_label(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _share(said: Fields, right: Fields) -> float:
    """Equal fields / fields on either side, where a path with one value on each side is one field, right or wrong."""
    said_paths, right_paths = (Counter(path for path, _ in side.elements()) for side in (said, right))
    return (said & right).total() / (said_paths | right_paths).total()
