"""White space as a writer would leave it: no runs of spaces, no trailing ones, at most one blank line."""

from __future__ import annotations

import re
from collections.abc import Callable

from rung.text.code import sub_outside_code

_BREAKS = re.compile("\r\n?|[\x85\u2028\u2029]")
_ODD = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_LEADING_ODD = re.compile(f"^[ \t]*[{_ODD}][ \t{_ODD}]*", re.MULTILINE)
_ODD_SPACE = re.compile(f"[{_ODD}]")
_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n{3,}")
# Indented lines are code or lists, lines with bars are tables: their inner spaces are layout.
_RUNS = re.compile(r"(?<=[^\s])[ \t]{2,}(?=[^\s])")
_LAYOUT = re.compile(r"^(?: {4,}|\t|.*\|.*\|)")
_INDENTED = re.compile(r"\n[ \t]+\S")

UNTIDY = re.compile(f"[{_ODD}\r\x85\u2028\u2029]|[ \t]{{2,}}|[ \t]$|[ \t]\n|\n{{3,}}|^\\s|\\s$")
"""Any white space that `tidy_space` may change."""


def tidy_space(text: str) -> str:
    """The text with single spaces, no spaces at the ends of lines, one blank line at most, none at its ends.

    Other spaces (no-break, ideographic) become ordinary ones. Left alone: the indentation of lines, code in fences or
    backticks, rows of tables, single tabs.
    """
    text = _BREAKS.sub("\n", text)
    for pattern, change in _CHANGES:
        if pattern.search(text):
            text = sub_outside_code(pattern, change, text)
    text = text.strip("\n").rstrip()
    return text if _INDENTED.search(text) else text.strip()


def _run(match: re.Match[str]) -> str:
    text = match.string
    start, end = text.rfind("\n", 0, match.start()) + 1, text.find("\n", match.end())
    line = text[start : end if end >= 0 else len(text)]
    if _LAYOUT.match(line):
        return match[0]
    return "\t" if "\t" in match[0] else " "


_CHANGES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_LEADING_ODD, lambda match: ""),
    (_ODD_SPACE, lambda match: " "),
    (_TRAILING, lambda match: ""),
    (_RUNS, _run),
    (_BLANK_LINES, lambda match: "\n\n"),
)
