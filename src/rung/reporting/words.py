"""Every word of the report in English and Chinese, from `words.json` beside this file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.store.records import Text

_SLOT = re.compile(r"\{(\w+)\}")
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[0-9A-Za-z%$€£¥+−–-]")


@cache
def catalogue() -> dict[str, dict[str, str]]:
    """Every key with its text in both languages; `{name}` marks a value."""
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("words.json").read_text("utf-8"))
    return found


class Words:
    """The words of one language. `words("verdict.winner", name="RAG")` is a sentence; an unknown key is a KeyError."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language

    def __call__(self, key: str, **values: Any) -> str:
        # Split once, so that a value holding braces is never filled in again.
        pieces = _SLOT.split(catalogue()[key][self.language])
        pieces[1::2] = [str(values[name]) for name in pieces[1::2]]
        return "".join(pieces) if self.language == "en" else _set_chinese(pieces)

    def of(self, text: Text) -> str:
        """A sentence of a record, in this language."""
        return text.zh if self.language == "zh" else text.en

    def known(self, key: str, default: str) -> str:
        """The words of a key, or `default` for a name that this file does not know (a plug-in's method or metric)."""
        return self(key) if key in catalogue() else default

    def method(self, method: str) -> str:
        """A method's name for people; `a+b` that has no name of its own is spelled from its parts."""
        whole = self.known(f"method.{method}", "")
        if whole:
            return whole
        base, _, variant = method.rpartition("-")
        if base and self.known(f"method.{base}", ""):
            return f"{self.method(base)} ({variant})"
        return " + ".join(self.method(part) if part != method else part for part in method.split("+"))

    def metric(self, metric: str) -> str:
        return self.known(f"metric.{metric}", metric.replace("_", " "))

    def join(self, parts: Sequence[str]) -> str:
        """A list in a sentence."""
        return ("、" if self.language == "zh" else ", ").join(parts)


def _set_chinese(pieces: Sequence[str]) -> str:
    """Join text and values as Chinese is set: a space between Han and Latin, none between Han and Han."""
    text = ""
    for piece in pieces:
        if not piece.strip():
            text += piece
            continue
        left, right = text.rstrip(" "), piece.lstrip(" ")
        before, after = left[-1:], right[:1]
        latin = bool(_LATIN.match(before)), bool(_LATIN.match(after))
        han = bool(_HAN.match(before)), bool(_HAN.match(after))
        mixed = (han[0] and latin[1]) or (latin[0] and han[1])
        apart = len(left) < len(text) or len(right) < len(piece)
        text = left + (" " if mixed or (apart and all(latin)) else "") + right
    return text
