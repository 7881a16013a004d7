"""The catalogue of errors in both languages, and how a mistake is told."""

from __future__ import annotations

import re

import pytest

from rung.core.errors import (
    BackendError,
    DataError,
    InterruptedRun,
    Problem,
    RungError,
    TargetNotMet,
    UsageError,
    WriteError,
    catalogue,
)


def named_values(text: str) -> set[str]:
    """The values a text names; `near_zh` is the Chinese form of `near`."""
    return {name.removesuffix("_zh") for name in re.findall(r"\{(\w+)\}", text)}


@pytest.mark.parametrize("code", catalogue())
def test_every_error_says_the_same_in_both_languages(code: str) -> None:
    texts = catalogue()[code]
    assert re.fullmatch(r"E[1-7]\d{3}", code)
    assert texts["en"]
    assert re.search(r"[\u4e00-\u9fff]", texts["zh"])
    assert named_values(texts["en"]) == named_values(texts["zh"])
    assert bool(texts.get("hint_en")) == bool(texts.get("hint_zh"))
    assert named_values(texts.get("hint_en", "")) == named_values(texts.get("hint_zh", ""))


def test_each_kind_of_error_has_its_own_exit_code() -> None:
    kinds = [RungError, UsageError, DataError, BackendError, InterruptedRun, TargetNotMet, WriteError]
    assert [kind.exit_code for kind in kinds] == [1, 2, 3, 4, 5, 6, 7]


def test_all_mistakes_are_told_at_once_and_a_shared_hint_only_once() -> None:
    problems = [Problem("E1305", f"task.yaml:{line}", {"path": f"{line}.csv"}) for line in (3, 7)]
    error = UsageError("E1305", problems=problems)
    assert error.code == "E1305"
    assert list(error.lines()) == [
        "task.yaml:3: There is no file 3.csv. [E1305]",
        "task.yaml:7: There is no file 7.csv. [E1305]",
        "",
        "hint: check the path",
    ]
    assert list(error.lines("zh"))[-1] == "提示：请检查路径"
    assert str(error) == "\n".join(error.lines())


def test_an_error_without_a_next_step_has_no_hint() -> None:
    assert list(DataError("E2401").lines()) == [
        "There is no baseline without a language model for JSON answers. [E2401]"
    ]


@pytest.mark.parametrize("value", ["{x}", "{{ x }}", "{reason}", "{0.__class__}"])
def test_a_value_with_braces_is_shown_as_it_is(value: str) -> None:
    """Also where it looks like the mark of a value that is filled in after it."""
    said = Problem("E5001", values={"path": value, "reason": "no space"}).message()
    assert said == f"{value} cannot be written: no space"
