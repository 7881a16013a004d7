"""Normal forms of answers, labels and duplicate keys."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.text.normalise import normalise_answer, normalise_key, normalise_label


def squad(text: str) -> str:
    """The official order of steps, written out again from their description."""
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@pytest.mark.parametrize(
    "text",
    [
        "The Denver Broncos!",
        "a  cat, an owl;  the dog",
        "well-known",
        "Saint-Domingue's",
        "U.S.",
        "$40 million",
        "half a year",
    ],
)
def test_english_answers_as_in_squad(text: str) -> None:
    assert normalise_answer(text, "en") == squad(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("£2,400", "£2400"),
        ("1,234,567", "1234567"),
        ("ｆｏｕｒ　ｗｅｅｋｓ’ rent", "four weeks' rent"),
        ("within\u00a05 working days", "within 5 working days."),
        ("2–5 days", "2-5 days"),
        ("\u221230", "-30"),
        ("co\u00adoperate\ufeff", "cooperate"),
        ("STRASSE", "straße"),
        ("2½ weeks", "2 1/2 weeks"),
    ],
)
def test_same_english_answer(one: str, other: str) -> None:
    assert normalise_answer(one, "en") == normalise_answer(other, "en")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("7.50", "750"),
        ("2-5", "25"),
        ("-3", "3"),
        ("8:30", "830"),
        ("2026-01-02", "20260102"),
        ("A", "The"),
        ("?", "!"),
        ("10²", "102"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_different_answers_stay_different(one: str, other: str, language: str) -> None:
    assert normalise_answer(one, language) != normalise_answer(other, language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("区消防指导站。", "区消防指导站"),
        ("《租约》 第 3 条", "租约第3条"),
        ("２００元", "200元"),
        ("1,000 元", "1000元"),
        ("Apple Pay", "apple pay。"),
        ("……是的！", "是的"),
    ],
)
def test_same_chinese_answer(one: str, other: str) -> None:
    assert normalise_answer(one, "zh") == normalise_answer(other, "zh")


def test_articles_are_words_only_in_english() -> None:
    assert normalise_answer("the A 类", "zh") == "thea类"
    assert normalise_answer("theatre an hour", "en") == "theatre hour"


@given(st.text(), st.sampled_from(["en", "zh"]))
def test_only_blank_answers_normalise_to_nothing(text: str, language: str) -> None:
    done = normalise_answer(text, language)  # type: ignore[arg-type]
    assert bool(done) == bool(normalise_label(text))
    assert done == done.strip()


def test_labels() -> None:
    assert normalise_label("  Card\u3000Arrival\n") == normalise_label("card arrival") == "card arrival"
    assert normalise_label("ＹＥＳ") == "yes"
    assert normalise_label("是 ") == "是"
    assert normalise_label("reverted_card_payment?") == "reverted_card_payment?"


def test_key_of_duplicates() -> None:
    assert normalise_key("Where is my card?") == normalise_key(" where is  MY card ") == "whereismycard"
    assert normalise_key("押金，怎么退？") == normalise_key("押金怎么退")
    assert normalise_key("I paid 1.5") != normalise_key("I paid 15")
    assert normalise_key("C++") != normalise_key("C")
    assert normalise_key("???") != normalise_key("!!!")
