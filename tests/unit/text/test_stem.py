"""Stems of English words, with the examples of Porter's paper for the steps that are taken."""

from __future__ import annotations

import pytest

from rung.text.stem import stem


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("caresses", "caress"),
        ("ponies", "poni"),
        ("cats", "cat"),
        ("feed", "feed"),
        ("agreed", "agre"),
        ("plastered", "plaster"),
        ("bled", "bled"),
        ("motoring", "motor"),
        ("sing", "sing"),
        ("conflated", "conflat"),
        ("sized", "size"),
        ("hopping", "hop"),
        ("falling", "fall"),
        ("hissing", "hiss"),
        ("fizzed", "fizz"),
        ("failing", "fail"),
        ("filing", "file"),
        ("happy", "happi"),
        ("sky", "sky"),
        ("probate", "probat"),
        ("rate", "rate"),
        ("cease", "ceas"),
        ("controll", "control"),
        ("roll", "roll"),
    ],
)
def test_stems(word: str, form: str) -> None:
    assert stem(word) == form


@pytest.mark.parametrize(
    "words", ["book books booked booking", "decide decides decided deciding", "carry carries carried carrying"]
)
def test_inflections_meet(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 1


@pytest.mark.parametrize("text", ["", "s", "is", "租", "7.50", "d-4", "Éclairs", "ing", "eed", "yyy", "e"])
def test_other_texts_stay_or_shrink(text: str) -> None:
    assert text.startswith(stem(text)[:1])
    assert stem(text) == text or text == "yyy"
