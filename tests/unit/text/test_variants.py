"""Forms that ask the same: the words stay, what differs is named, and nothing is asked that was not asked."""

from __future__ import annotations

import pytest

from rung.core.task import Language
from rung.text.normalise import fold
from rung.text.variants import (
    asks,
    case_forms,
    framed,
    punctuation_forms,
    script_forms,
    to_simplified,
    width_forms,
)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("How long does it take?", True),
        ("how long does it take", True),
        ("The room was dirty.", False),
        ("押金多久退还？", True),
        ("可以养猫吗", True),
        ("房间很脏。", False),
        ("", False),
    ],
)
def test_what_reads_as_a_question(text: str, question: bool) -> None:
    assert asks(text) is question


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("frame", ["politeness", "rewording"])
@pytest.mark.parametrize("text", ["How long {n}?", "The room was dirty.", "押金多久退还？", "房间很脏。"])
def test_a_frame_holds_the_text_word_for_word(text: str, frame: str, language: Language) -> None:
    forms = framed(f"  {text} ", frame, language)  # type: ignore[arg-type]
    assert len(set(forms)) == len(forms) == 2
    for form in forms:
        assert text in form
        assert form != text
        assert asks(text) or not asks(form.replace(text, ""))


def test_width_turns_every_mark_and_comes_back() -> None:
    full, half = width_forms("WiFi 多少钱？A-1")
    assert full == "ＷｉＦｉ 多少钱？Ａ－１"
    assert half == "WiFi 多少钱?A-1"
    assert fold(full) == fold(half)
    assert width_forms("押金") == ()


def test_the_other_script_and_back() -> None:
    assert script_forms("房东多久退还押金？") == ("房東多久退還押金？",)
    assert script_forms("房東多久退還押金？") == ("房东多久退还押金？",)
    assert script_forms("一二三") == ()
    # One simplified character, two traditional ones: a table of words is needed to tell which.
    assert script_forms("头发发展") == ("頭髮發展",)
    assert to_simplified("頭髮發展") == "头发发展"


def test_case_and_punctuation() -> None:
    assert case_forms("Who Pays?") == ("who pays?",)
    assert case_forms("who pays?") == ("WHO PAYS?",)
    assert case_forms("123") == ()
    assert punctuation_forms('The landlord\'s "notice" - where...') == (
        "The landlord\u2019s \u201cnotice\u201d \u2013 where\u2026",
    )
    assert punctuation_forms("Who pays?") == ("Who pays",)
    assert punctuation_forms("deposit") == ()
