"""Post-processing steps: from what a model said to the answer."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from rung.core.errors import DataError
from rung.core.model import Failure
from rung.core.registry import find, parts
from rung.text.steps import first_line, json_answer, match_label, strip_marks

TOPICS = ("card", "card arrival", "top_up_failed", "Refund_not_showing_up", "reverted_card_payment?")
MOODS = ("positive", "negative", "neutral")
MOODS_ZH = ("正面", "负面", "中性")
SCHEMA = {
    "type": "object",
    "properties": {"amount": {"type": "number"}, "name": {"type": "string"}},
    "required": ["amount"],
    "additionalProperties": False,
}


def test_every_registered_step_is_there() -> None:
    assert all(callable(find("step", name)) for name in parts("step"))


@pytest.mark.parametrize(
    ("text", "line"), [("\n \n Paris \nBecause", "Paris"), ("Paris", "Paris"), ("a\r\nb", "a"), ("", ""), (" \n ", "")]
)
def test_first_line(text: str, line: str) -> None:
    assert first_line(text) == line


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (' "Paris" ', "Paris"),
        ("“巴黎”", "巴黎"),
        ("「押金」", "押金"),
        ("Answer: Paris", "Paris"),
        ("**Answer:** `Paris`", "Paris"),
        ("final answer： “Paris”", "Paris"),
        ("答案：“五天内”", "五天内"),
        ("最终答案: 五天内", "五天内"),
        ("```text\nParis\n```", "Paris"),
        ('"a" and "b"', '"a" and "b"'),
        ("Answering: no", "Answering: no"),
        ("the tenants' rent'", "the tenants' rent'"),
        ('"', '"'),
        ("", ""),
    ],
)
def test_strip_marks(text: str, bare: str) -> None:
    assert strip_marks(text) == bare


def test_strip_marks_with_names_of_its_own() -> None:
    assert strip_marks("Topic: rent", names=["Topic"]) == "rent"
    assert strip_marks("Answer: rent", names=[]) == "Answer: rent"


@pytest.mark.parametrize(
    ("text", "labels", "label"),
    [
        ("card arrival", TOPICS, "card arrival"),
        ("  CARD　Arrival.\n", TOPICS, "card arrival"),
        ('"card arrival".', TOPICS, "card arrival"),
        ("**Top_up_failed**", TOPICS, "top_up_failed"),
        ("(refund_not_showing_up)", TOPICS, "Refund_not_showing_up"),
        ("reverted_card_payment?", TOPICS, "reverted_card_payment?"),
        ("card arrival, because it is late", TOPICS, "card arrival"),
        ("card: lost", TOPICS, "card"),
        ("Positive! The negative points are few.", MOODS, "positive"),
        ("ＰＯＳＩＴＩＶＥ", MOODS, "positive"),
        ("正面。", MOODS_ZH, "正面"),
        ("“负面”，因为房间很脏", MOODS_ZH, "负面"),
        ("Yes", ("Yes", "yes"), "Yes"),
        ("3. It works.", ("1", "2", "3"), "3"),
    ],
)
def test_match_label(text: str, labels: tuple[str, ...], label: str) -> None:
    assert match_label(text, labels) == label


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("cards", TOPICS),
        ("card_payment", TOPICS),
        ("card-arrival", TOPICS),
        ("It is card arrival", TOPICS),
        ("not positive", MOODS),
        ("positive or negative", MOODS),
        ("positive, negative", MOODS),
        ("positive/negative", MOODS),
        ("3.5 stars", ("1", "2", "3")),
        ("3/5", ("1", "2", "3")),
        ('"positive" and "neutral"', MOODS),
        ("正面或负面", MOODS_ZH),
        ("正面、负面", MOODS_ZH),
        ("正面评价", MOODS_ZH),
        ("YES", ("Yes", "yes")),
        ("", MOODS),
        ("...", MOODS),
    ],
)
def test_match_label_fails(text: str, labels: tuple[str, ...]) -> None:
    found = match_label(text, labels)
    assert isinstance(found, Failure)
    assert found.kind == "unparsable"


def test_match_label_takes_a_list_as_json_gives_it() -> None:
    assert match_label("negative", labels=list(MOODS)) == "negative"


@pytest.mark.datasets
def test_every_real_label_is_found_bare_and_explained(datasets: Path) -> None:
    with (datasets / "banking77" / "test.csv").open(encoding="utf-8", newline="") as file:
        labels = sorted({row["category"] for row in csv.DictReader(file)})
    assert len(labels) == 77
    for label in labels:
        for text in (label, label.upper(), f'"{label}"', f"{label}.", f"{label}, I think"):
            assert match_label(text, labels) == label


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ann", "amount": 3}',
        'Sure! Here it is:\n```json\n{"name": "Ann",\n "amount": 3}\n```\nAnything else?',
        'Fill {name} and {amount}: {"amount": 3, "name": "Ann"} [1]',
        '{"amount": "3"} was wrong, so {"amount": 3, "name": "Ann"}',
        'As in {"amount": 9}:\n```\n{"amount": 3, "name": "Ann"}\n```',
    ],
)
def test_json_is_found_and_written_canonically(text: str) -> None:
    assert json_answer(text, SCHEMA) == '{"amount":3,"name":"Ann"}'


@pytest.mark.parametrize(
    "text",
    [
        "no object",
        "",
        '{"amount": 3, "name": "An',
        '{"name": {"amount": 3}, ',
        '{"amount": "three"}',
        '{"amount": 3, "more": 1}',
        '{"amount": NaN}',
        '{"amount": 1e999}',
        '{"amount": 3, "amount": 4} {"amount": 5}',
        '{"amount":' + "[" * 100_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        '{"amount": ' + "9" * 5_000 + "}",
        '{"amount": 3, "name": "\\ud800"}',
        "{" * 100_000,
        '{"' + '\\"' * 100_000,
        "[3]",
    ],
    ids=lambda text: text[:30],
)
def test_json_fails(text: str) -> None:
    found = json_answer(text, SCHEMA)
    assert isinstance(found, Failure)
    assert found.kind == "unparsable"


def test_json_without_a_schema_and_with_an_array() -> None:
    assert json_answer("{} or {1}") == "{}"
    array = {"type": "array", "items": {"type": "string"}}
    assert json_answer('see [1]: ["乙", "甲"]', array) == '["乙","甲"]'


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"properties": {"a": {"$ref": "#/$defs/missing"}}},
        {"$ref": "#"},
        {"properties": {"a": {"pattern": "("}}},
    ],
    ids=json.dumps,
)
def test_a_schema_that_is_none_is_the_users_mistake(schema: dict[str, Any]) -> None:
    with pytest.raises(DataError) as caught:
        json_answer('{"a": "b"}', schema)
    assert caught.value.code == "E2504"


def test_a_schema_may_name_its_draft() -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a", "definitions": {"a": {}}}
    assert json_answer('{"a": 1}', schema) == '{"a":1}'
