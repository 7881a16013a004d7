"""Strict JSON: what is read, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.text.strict_json import MAX_DEPTH, RefusedJson, find_end, read_json, write_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    assert read_json(write_json(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        "[Infinity]",
        "-Infinity",
        '{"a": 1e400}',
        '{"a": 1, "a": 1}',
        '{"a": {"b": 1, "b": 2}}',
        '["\\ud800"]',
        "1" * 5000,
        "[" * 100_000,
        " " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        '{"a":' * 100_000 + "1" + "}" * 100_000,
    ],
    ids=lambda text: text[:20],
)
def test_refused(text: str) -> None:
    with pytest.raises(RefusedJson):
        read_json(text)


def test_depth_is_counted_outside_strings_only() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert read_json(deepest)
    brackets = '"' + "[" * 200 + '"'
    assert read_json(brackets) == "[" * 200
    assert read_json(f"[{brackets}]") == ["[" * 200]


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "{} {}", "{,}", '{"a": 1,}', "nul"])
def test_not_json(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        read_json(text)


def test_end_of_an_object() -> None:
    text = 'so {"a": "}\\"}", "b": [{}]} and {more'
    start = text.index("{")
    assert text[start : find_end(text, start)] == '{"a": "}\\"}", "b": [{}]}'
    assert find_end(text, text.rindex("{")) is None
