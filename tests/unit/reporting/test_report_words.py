"""Words and numbers: complete in both languages, nothing unused, and set as each language sets them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rung.reporting
from rung.reporting.numbers import Numbers
from rung.reporting.words import Words, catalogue
from rung.store.records import Interval

ROOM = Path(rung.reporting.__file__).parent
SPEAKERS = [*ROOM.glob("*.py"), *ROOM.glob("templates/*.html"), ROOM.parent / "cli" / "screen.py"]
SLOT = re.compile(r"\{(\w+)\}")


def test_every_word_is_there_in_both_languages_with_the_same_values() -> None:
    for key, entry in catalogue().items():
        assert set(entry) == {"en", "zh"}, key
        assert all(entry.values()), key
        assert set(SLOT.findall(entry["en"])) == set(SLOT.findall(entry["zh"])), key
        if len(re.findall(r"[a-z]{3,}", SLOT.sub("", entry["en"]))) > 1:
            assert re.search(r"[\u4e00-\u9fff]", entry["zh"]), f"{key} is not translated"


def test_no_word_is_dead_and_no_word_is_missing() -> None:
    sources = "".join(path.read_text("utf-8") for path in SPEAKERS)
    asked = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_0-9]+)*)["']""", sources))
    # A key made from a value: f"kind.{name}" in Python, "kind." ~ name in a template.
    made = set(re.findall(r"""f["']([a-z_]+\.(?:\w+_)?)\{""", sources)) | set(
        re.findall(r"""["']([a-z]+\.)["'] ~""", sources)
    )
    dead = [key for key in catalogue() if key not in asked and not any(key.startswith(start) for start in made)]
    assert dead == []
    spoken = set(re.findall(r"""\b(?:w|words)\(\s*["']([^"'{]+)["']\s*[,)]""", sources))
    assert spoken - set(catalogue()) == set()


def test_a_value_with_braces_is_not_filled_again() -> None:
    assert Words("en")("labelled", name="{value}", value="{name} and {other}") == "{value}: {name} and {other}"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("微调", "基线", "分不出微调与基线的高下（0 到 1）。"),
        ("RAG", "vendor-b", "分不出 RAG 与 vendor-b 的高下（0 到 1）。"),
        ("检索增强（RAG）", "RAG + 微调", "分不出检索增强（RAG）与 RAG + 微调的高下（0 到 1）。"),
    ],
)
def test_chinese_sets_latin_apart_and_han_close(a: str, b: str, expected: str) -> None:
    assert Words("zh")("pair.unclear", a=a, b=b, span="0 到 1") == expected


def test_a_method_without_a_name_of_its_own_is_spelled_from_its_parts() -> None:
    assert Words("zh").method("few_shot+preference") == "少样本提示 + 偏好训练"
    assert Words("en").method("my_plugin") == "my_plugin"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "$0"),
        (0.00012, "$0.00012"),
        (0.0001, "$0.0001"),
        (0.1, "$0.10"),
        (0.0834, "$0.083"),
        (1.234, "$1.23"),
        (12345.6, "$12,346"),
    ],
)
def test_money(value: float, shown: str) -> None:
    assert Numbers(Words("en")).money(value) == shown


def test_money_of_a_currency_without_a_sign_names_it() -> None:
    assert Numbers(Words("en"), "CHF").money(3.5) == "3.50 CHF"


@pytest.mark.parametrize(
    ("value", "en", "zh"),
    [
        (0.0004, "0.4 ms", "0.4 毫秒"),
        (0.24, "240 ms", "240 毫秒"),
        (2.44, "2.4 s", "2.4 秒"),
        (119.7, "2 min 0 s", "2 分 0 秒"),
        (7300.0, "2 h 2 min", "2 小时 2 分"),
    ],
)
def test_seconds(value: float, en: str, zh: str) -> None:
    assert (Numbers(Words("en")).seconds(value), Numbers(Words("zh")).seconds(value)) == (en, zh)


def test_a_perfect_score_never_stands_without_its_interval() -> None:
    numbers = Numbers(Words("en"))
    assert numbers.quality(Interval(point=1.0, low=0.94, high=1.0), "accuracy") == "100.0% (94.0–100.0%)"
    assert numbers.quality(Interval(point=1.0), "accuracy") == "100.0% (no interval)"
    assert numbers.quality(Interval(point=3.2, low=3.0, high=3.5), "judge_score") == "3.200 (3.000–3.500)"


def test_differences_keep_their_sign_and_never_round_to_nothing() -> None:
    numbers = Numbers(Words("en"))
    assert numbers.steps([-0.031, 0.08], "accuracy", sign=True) == ["−3.1", "+8.0"]
    assert numbers.steps([0.0004, 0.0], "accuracy") == ["0.04", "0.0"]
    assert numbers.step(0.02, "accuracy") == "2.0 points"
    assert numbers.step(0.5, "judge_score") == "0.500"
