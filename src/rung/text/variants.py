"""Other forms of a question that ask the same: frames of politeness and wording, width, Chinese script, case and marks."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rung.core.task import Language

Frame = Literal["politeness", "rewording"]
_ASKS = re.compile(r"[?？]\s*$|[吗呢么]\s*$|^(?:how|what|when|where|who|why|which|can|may|must|do|does|is|are)\b", re.I)
_FULL = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_HALF = {full: half for half, full in _FULL.items()} | {0x3000: 0x20, 0x3002: 0x2E}
_QUOTED = re.compile(r'"([^"]*)"')
_INNER = re.compile(r"(?<=\w)'(?=\w)")
_DASH = re.compile(r"(?<=\s)--?(?=\s)")
_STOPS = frozenset(".?!…。？！")
_LAST_MARK = re.compile(r"\s*[.?!]\s*$")


@cache
def _frames() -> dict[str, dict[str, dict[str, list[str]]]]:
    path = Path(__file__).with_name("variants.json")
    found: dict[str, dict[str, dict[str, list[str]]]] = json.loads(path.read_text("utf-8"))
    return found


def asks(text: str) -> bool:
    """Whether a text reads as a question, by its last mark or particle, or its first word."""
    return bool(_ASKS.search(text.strip()))


def framed(text: str, frame: Frame, language: Language) -> tuple[str, ...]:
    """The text word for word, inside other words around it; a statement is never turned into a question.

    Before further words it gets the full stop that it lacks.
    """
    text = text.strip()
    stopped = text if text[-1:] in _STOPS else text + ("." if language == "en" else "。")
    frames = _frames()[language]["question" if asks(text) else "statement"][frame]
    return tuple(form.replace("{text}", text if form.endswith("{text}") else stopped) for form in frames)


def width_forms(text: str) -> tuple[str, ...]:
    """The text with letters, digits and marks in full width, and in half width, as far as that changes it.

    Half width writes 。 as a full stop, as a keyboard without Chinese input does.
    """
    return _others(text, text.translate(_FULL), text.translate(_HALF))


def script_forms(text: str) -> tuple[str, ...]:
    """Chinese text in traditional characters; in simplified ones where it is traditional already. () without a difference."""
    return _others(text, _converter("s2t").convert(text), _converter("t2s").convert(text))[:1]


def to_simplified(text: str) -> str:
    """Chinese text in simplified characters."""
    converted: str = _converter("t2s").convert(text)
    return converted


def to_traditional(text: str) -> str:
    """Chinese text in traditional characters, as OpenCC's standard has them."""
    converted: str = _converter("s2t").convert(text)
    return converted


@cache
def _converter(table: str) -> Any:
    from opencc import OpenCC

    return OpenCC(table)


def case_forms(text: str) -> tuple[str, ...]:
    """The text in lower case, as people type in a hurry; in capitals where it is in lower case already."""
    return _others(text, text.lower(), text.upper())[:1]


def punctuation_forms(text: str) -> tuple[str, ...]:
    """The text with the quotes, apostrophes, dashes and dots that word processors write; or without its last mark."""
    curly = _INNER.sub("\u2019", _QUOTED.sub("\u201c\\1\u201d", text))
    typeset = _DASH.sub("\u2013", curly).replace("...", "\u2026")
    return _others(text, typeset, _LAST_MARK.sub("", text))[:1]


def _others(text: str, *forms: str) -> tuple[str, ...]:
    """The forms that differ from the text, each once; none that is blank."""
    return tuple(dict.fromkeys(form for form in forms if form != text and form.strip()))
