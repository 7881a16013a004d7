"""The share of JSON fields that are right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rung.core.errors import DataError
from rung.core.evaluation import Answer
from rung.core.registry import create
from rung.core.task import Example, OutputSpec, Task

TASK = Task(
    name="forms", instruction="Fill in.", inputs=("letter",), output=OutputSpec(kind="json"), metrics=("json_match",)
)


def share(said: Any, *references: Any) -> float:
    metric = create("metric", "json_match", task=TASK)
    texts = tuple(json.dumps(reference, ensure_ascii=False) for reference in references)
    text = said if isinstance(said, str) else json.dumps(said)
    (score,) = metric.score([Example("e", {"letter": ""}, texts)], [Answer("e", text)])
    assert score.status == "scored"
    return float(score.value)


@pytest.mark.parametrize(
    ("said", "right", "expected"),
    [
        ({"a": 1, "b": "x"}, {"b": "x", "a": 1.0}, 1),
        ({"a": 1, "b": "y"}, {"a": 1, "b": "x"}, 1 / 2),
        ({"a": 1}, {"a": 1, "b": "x"}, 1 / 2),
        ({"a": 1, "b": "x", "c": 0}, {"a": 1, "b": "x"}, 2 / 3),
        ({"name": " ＡＮＮ  Lee"}, {"name": "Ann Lee"}, 1),
        ({"a": True}, {"a": 1}, 0),
        ({"a": None}, {"a": 0}, 0),
        ({"to": {"city": "Bath", "street": "High St"}}, {"to": {"city": "Bath", "street": "Low St"}}, 1 / 2),
        ({"names": ["b", "a"]}, {"names": ["a", "b"]}, 1),
        ({"names": ["a", "c"]}, {"names": ["a", "b", "b"]}, 1 / 3),
        ({"who": [{"n": "A", "t": [2, 1]}]}, {"who": [{"t": [1, 2], "n": "a"}]}, 1),
        ({"names": []}, {"names": []}, 1),
        ({"names": []}, {"names": ["a"]}, 0),
        ({"a/b": 1}, {"a": {"b": 1}}, 0),
        ({}, {}, 1),
        ("not json", {"a": 1}, 0),
        ('{"a": 1, "a": 1}', {"a": 1}, 0),
    ],
)
def test_share_of_fields(said: Any, right: Any, expected: float) -> None:
    assert share(said, right) == pytest.approx(expected)


def test_the_best_reference_counts() -> None:
    assert share({"a": 1, "b": 2}, {"a": 3}, {"a": 1, "b": 3}) == 1 / 2


def test_a_reference_that_is_no_json_is_a_mistake_in_the_data() -> None:
    metric = create("metric", "json_match", task=TASK)
    with pytest.raises(DataError) as caught:
        metric.score([Example("e7", {"letter": ""}, ("{",))], [Answer("e7", "{}")])
    assert caught.value.code == "E2505"
    assert "e7" in str(caught.value)
