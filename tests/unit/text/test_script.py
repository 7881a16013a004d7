"""Which language a text is in."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from rung.text.script import is_cjk, language_of


@pytest.mark.parametrize("char", ["中", "〇", "々", "か", "カ", "ー", "한", "ㄅ", "𠮷", "ｶ"])
def test_cjk_characters(char: str) -> None:
    assert is_cjk(char)


@pytest.mark.parametrize("char", ["a", "9", "。", "，", "・", "「", " ", "é", "Ａ", "", "中文"])
def test_everything_else_is_not_one_cjk_character(char: str) -> None:
    assert not is_cjk(char)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I lock my card?", "en"),
        ("押金什么时候退？", "zh"),
        ("iPhone 15 Pro Max 保修期多久", "zh"),
        ("请问 MasterCard 和 Visa 的手续费", "zh"),
        ("We went to 北京 and 上海", "en"),
        ("He said 你好 to all of them", "en"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", "en"),
        ("", "en"),
        ("12 + 34 = 46 。。", "en"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.datasets
@pytest.mark.parametrize("language", ["en", "zh"])
def test_language_of_real_questions(datasets: Path, language: str) -> None:
    with gzip.open(datasets / "qa_en_zh_xquad" / f"xquad.{language}.json.gz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    questions = [qa["question"] for article in articles for p in article["paragraphs"] for qa in p["qas"]]
    wrong = [question for question in questions if language_of(question) != language]
    assert len(questions) > 300
    assert len(wrong) <= 0.005 * len(questions), wrong
