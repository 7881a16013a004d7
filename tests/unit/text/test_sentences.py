"""Sentences of English and Chinese texts, as exact spans."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.text.sentences import Span, sentences


def cut(text: str) -> list[str]:
    return [span.of(text) for span in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs 2.50 pounds. Pay at the desk!", ["It costs 2.50 pounds.", "Pay at the desk!"]),
        ("Ask Dr. Li, e.g. by phone. He knows.", ["Ask Dr. Li, e.g. by phone.", "He knows."]),
        ("See no. 4 first. The answer is no. Go on.", ["See no. 4 first.", "The answer is no.", "Go on."]),
        ("J. K. Rowling wrote it. Read rung.io today.", ["J. K. Rowling wrote it.", "Read rung.io today."]),
        ('She said "Stop." Then she left.', ['She said "Stop."', "Then she left."]),
        ("押金须在5天内付清。逾期怎么办？请联系登记处！", ["押金须在5天内付清。", "逾期怎么办？", "请联系登记处！"]),
        ("他说：“不行！”，然后走了。好的。", ["他说：“不行！”，然后走了。", "好的。"]),
        ("可以吗?可以!软件版本是3.5。", ["可以吗?", "可以!", "软件版本是3.5。"]),
        ("a wrapped\nline ends. Next", ["a wrapped\nline ends.", "Next"]),
        ("# Fees\nThey are low\n\nTruly\n- one\n- two", ["# Fees", "They are low", "Truly", "- one", "- two"]),
        ("1. Turn it off. Wait.\n2. Turn it on.", ["1. Turn it off.", "Wait.", "2. Turn it on."]),
        ("一、总则\n（二）范围", ["一、总则", "（二）范围"]),
        (" \n\t ", []),
    ],
)
def test_cut(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


def test_part_of_a_text_keeps_the_positions_of_the_whole() -> None:
    text = "Zero. One. Two. Three."
    assert [span.of(text) for span in sentences(text, Span(6, 15))] == ["One.", "Two."]


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from(list("aB3 .!?\n\r。！”\"'#-|、押）")), max_size=60))
def test_every_visible_character_lies_in_exactly_one_sentence(text: str) -> None:
    held = [n for span in sentences(text) for n in range(span.start, span.end)]
    assert len(held) == len(set(held))
    assert held == sorted(held)
    assert {n for n, char in enumerate(text) if not char.isspace()} <= set(held)
    assert all(span.of(text) == span.of(text).strip() != "" for span in sentences(text))
