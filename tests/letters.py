"""The letter encoder under a registered name, so that retrieval works without weights."""

from __future__ import annotations

import pytest
from letter_encoder import LetterEncoder

from rung.core.registry import Part, parts
from rung.methods.slots import encoder_named

LETTERS = "letters"


def register_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test is over, `letters` names a LetterEncoder."""
    part = Part("encoder", LETTERS, "letter_encoder:LetterEncoder", about="letter counts")
    monkeypatch.setitem(parts("encoder"), LETTERS, part)
    encoder_named.cache_clear()


__all__ = ["LETTERS", "LetterEncoder", "register_letters"]
