"""White space and width: tidy prose, layout kept where it means something."""

from __future__ import annotations

import pytest

from rung.text.common_ends import common_ends
from rung.text.script import writing_of
from rung.text.spacing import tidy_space
from rung.text.width import narrow


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        (" a  b ", "a b"),
        ("　　你好　世界　\n", "你好 世界"),
        ("a\u00a0b\r\nc\r\n\r\n\r\n\r\nd", "a b\nc\n\nd"),
        ("run `a  b`  now  \nx", "run `a  b` now\nx"),
        ("a\t\tb", "a\tb"),
        ("def f():\n    return  1  \n", "def f():\n    return  1"),
        ("```\na   b  \n\n\n\n```\n\n\n\nc   d", "```\na   b  \n\n\n\n```\n\nc d"),
    ],
)
def test_tidies(dirty: str, clean: str) -> None:
    assert tidy_space(dirty) == clean


@pytest.mark.parametrize("text", ["| a   | b |", "a\tb", "In this `for` loop `x` is", "- a\n    - b\n    - c"])
def test_layout_stays(text: str) -> None:
    assert tidy_space(text) == text


@pytest.mark.parametrize(
    ("wide", "half"),
    [
        ("早７：３０，５０％的人（共３人）", "早7:30，50%的人（共3人）"),
        ("ａ＠ｂ．ｃｏｍ", "a@b.com"),
        ("ＷｉＦｉ很好．真的！", "WiFi很好．真的！"),
        ("房号１０１，１０２", "房号101，102"),
        ("你好，世界（好）", "你好，世界（好）"),
    ],
)
def test_narrows_letters_and_digits_only(wide: str, half: str) -> None:
    assert narrow(wide) == half


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("房间很好 WiFi OK", "zh"),
        ("房間很乾淨", "zh"),
        ("The room is good", "en"),
        ("部屋はとてもきれいです", "ja"),
        ("优の良品很好吃，价格也不贵，下次还会来", "zh"),
        ("방이 좋아요", "ko"),
        ("Хороший номер", "ru"),
        ("الغرفة جيدة", "ar"),
        ("12345 !!", ""),
    ],
)
def test_tells_the_language_by_script(text: str, language: str) -> None:
    assert writing_of(text) == language


def test_common_ends_never_overlap() -> None:
    assert common_ends("aaa", "aa") == (2, 0)
    assert common_ends("abXcd", "abYYcd") == (2, 2)
    assert common_ends("", "x") == (0, 0)
