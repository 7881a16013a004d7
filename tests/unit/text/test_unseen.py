"""Characters that show nothing: out, unless a script, an emoji or a flag needs them."""

from __future__ import annotations

import pytest

from rung.text.unseen import show_unseen, strip_unseen, unseen_kinds


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("房\u200b间\ufeff好", "房间好"),
        ("ab\u202ecd\u202c\u2066e\u2069", "abcde"),
        ("hi\U000e0041\U000e0042", "hi"),
        ("x\u200dy\u200c", "xy"),
        ("a\x0bb\x00\x1b", "a\nb"),
        ("co\u00adoperate", "cooperate"),
        ("left\u200e right", "left right"),
        ("\U0001f3f4\U000e0068\U000e0069\U000e007f", "\U0001f3f4"),
    ],
)
def test_takes_out(dirty: str, clean: str) -> None:
    assert strip_unseen(dirty) == clean


@pytest.mark.parametrize(
    "text",
    [
        "👨\u200d👩\u200d👧 ❤️",
        "می\u200cخواهم",
        "क्\u200dष",
        "שלום\u200f!",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "葛\U000e0100城",
        "tab\tand\nline",
    ],
)
def test_keeps_what_writing_needs(text: str) -> None:
    assert strip_unseen(text) == text


def test_counts_and_shows_by_code_point() -> None:
    assert unseen_kinds("a\u200bb\u200b\u202e", "ab") == {"U+200B": 2, "U+202E": 1}
    assert show_unseen("a\u200bb\u3000") == "a‹U+200B›b‹U+3000›"
