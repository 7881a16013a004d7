"""Text from data made safe to show: no control characters, no lone surrogates, no direction tricks; and how wide it is."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\uffff\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with every character that could steer a terminal, a page or the reading direction shown as U+FFFD."""
    return _INVISIBLE.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def clip(text: str, length: int) -> str:
    """At most `length` characters, with an ellipsis where something was left out."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def one_line(text: str, length: int = 160) -> str:
    """A text on one line of at most `length` characters."""
    return clip(" ".join(text.split()), length)


def width(text: str) -> int:
    """Columns on a terminal: two for a wide character, none for a combining mark."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """The text with spaces to fill so many columns, on its left where it is set flush right."""
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space


def wrap(text: str, columns: int) -> list[str]:
    """Lines no wider than `columns`; a line breaks at spaces, or on either side of a wide character.

    A closing mark never starts a line.
    """
    lines: list[str] = []
    line = ""
    for piece in re.findall(r"\s+|[^\s\u2e80-\uffef]+|[\u2e80-\uffef]", text):
        if piece.isspace():
            piece = " "
        closing = piece in "，。、；：！？）》」』”’…"
        if line and width(line) + width(piece) > columns and not closing:
            lines.append(line.rstrip())
            line = ""
        line += piece if line or not piece.isspace() else ""
    return [*lines, line.rstrip()] if line.strip() else lines
