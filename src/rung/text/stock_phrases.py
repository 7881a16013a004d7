"""Phrases that assistants begin and end with, and that answer nothing: "Sure, here is ...", 希望对你有帮助。"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

_FIRST = re.compile(r"\s*([^\n]{2,200}?[.!?:。！？：]+)(?=\s|[^\x00-\x7f])")
_STARTS = re.compile(r"(?:[.!?](?=\s)|[。！？\n])\s*(?=\S)")
_LONGEST = 200


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    path = Path(__file__).with_name("stock_phrases.json")
    listed: dict[str, list[str]] = json.loads(path.read_text("utf-8"))
    return {name: re.compile(f"(?:{'|'.join(known)})[.!?:。！？：]*", re.IGNORECASE) for name, known in listed.items()}


def opening(text: str) -> str:
    """The first sentence of a text that goes on after it; '' where it is the whole text."""
    found = _FIRST.match(text)
    return found[1] if found and text[found.end() :].strip() else ""


def closing(text: str) -> str:
    """The last sentence of a text that says something before it, if it is short; '' otherwise."""
    text = text.rstrip()
    starts = [match.end() for match in _STARTS.finditer(text, max(0, len(text) - _LONGEST))]
    return text[starts[-1] :] if starts and text[: starts[-1]].strip() else ""


def is_stock_opening(sentence: str) -> bool:
    return _patterns()["openings"].fullmatch(sentence.strip()) is not None


def is_stock_closing(sentence: str) -> bool:
    return _patterns()["closings"].fullmatch(sentence.strip()) is not None


def cut_opening(text: str, sentence: str) -> str:
    """The text without its first sentence."""
    return text.lstrip()[len(sentence) :].lstrip()


def cut_closing(text: str, sentence: str) -> str:
    """The text without its last sentence."""
    return text.rstrip()[: -len(sentence)].rstrip()
