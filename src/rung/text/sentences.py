"""Texts cut into sentences, English and Chinese alike, as exact spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from rung.text.script import is_cjk

LIST_MARK = r"(?:[-*+•·‣▪]\s|\d{1,3}[.)]\s|\d{1,3}、|[(（](?:\d{1,3}|[一二三四五六七八九十]{1,3})[)）]|[一二三四五六七八九十]{1,3}、)"
"""How an item of a list begins, in Markdown and in Chinese writing; a regular expression."""

_LINE = re.compile(r"[^\n]+")
_OWN_LINE = re.compile(rf"\s*(?:{LIST_MARK}|#{{1,6}}\s|\|)")
_HEADING = re.compile(r"\s*#{1,6}\s")
_CLOSERS = r"[\"'”’」』）》】)\]*_]*"
_END = re.compile(rf"[。！？｡.!?]+{_CLOSERS}")
_LAST_WORD = re.compile(r"[^\W\d_]+(?:\.[^\W\d_]+)*$")
# Never the end of a sentence.
_TITLE = re.compile(r"mr|mrs|ms|dr|prof|st|gen|col|sgt|rev|hon|vs|cf|e\.g|i\.e|al|eds", re.IGNORECASE)
# The end of a sentence only when no number follows: "see no. 4" against "the answer is no."
_NUMBERED = re.compile(r"nos?|figs?|eq|sec|art|vol|ch|pp?", re.IGNORECASE)
_NEAR = 24
"""Characters around a mark that can tell whether it ends a sentence."""


class Span(NamedTuple):
    """Characters `start` to `end` of a text."""

    start: int
    end: int

    def of(self, text: str) -> str:
        return text[self.start : self.end]


def sentences(text: str, span: Span | None = None) -> list[Span]:
    """The sentences of a text (or of a part of it), in order, without white space at their ends; none of a blank text.

    A blank line, a heading and an item of a list or a row of a table end a sentence; a single line break does not,
    because it may be a wrapped line. Every character that is not white space lies in exactly one sentence.
    """
    found = []
    for stretch in _stretches(text, span or Span(0, len(text))):
        start = stretch.start
        for mark in _END.finditer(text, stretch.start, stretch.end):
            if _ends_sentence(text, mark, stretch):
                found.append(trim(text, Span(start, mark.end())))
                start = mark.end()
        found.append(trim(text, Span(start, stretch.end)))
    return [sentence for sentence in found if sentence.start < sentence.end]


def trim(text: str, span: Span) -> Span:
    """The span without white space at its ends."""
    piece = text[span.start : span.end]
    start = span.start + len(piece) - len(piece.lstrip())
    return Span(start, max(start, span.end - (len(piece) - len(piece.rstrip()))))


def _stretches(text: str, span: Span) -> Iterator[Span]:
    """Runs of lines that may belong to one sentence."""
    start: int | None = None
    end = span.start
    after_heading = False
    for line in _LINE.finditer(text, span.start, span.end):
        blank_between = text.count("\n", end, line.start()) > 1
        blank = not line.group().strip()
        if start is not None and (blank or blank_between or after_heading or _OWN_LINE.match(line.group())):
            yield Span(start, end)
            start = None
        if start is None and not blank:
            start = line.start()
        end = line.end()
        after_heading = bool(_HEADING.match(line.group()))
    if start is not None:
        yield Span(start, end)


def _ends_sentence(text: str, mark: re.Match[str], stretch: Span) -> bool:
    if mark.end() >= stretch.end:
        return True
    before = text[max(stretch.start, mark.start() - _NEAR) : mark.start()]
    after = text[mark.end() : min(stretch.end, mark.end() + _NEAR)]
    bare = mark.group().rstrip("\"'”’」』）》】)]*_")
    if any(char in "。！？｡" for char in bare):
        return after[0] not in "，、；：,;:"
    if not after[0].isspace():
        # Chinese typed with the marks of an English keyboard; otherwise a number, an address or a file name.
        return is_cjk(after[0]) and (bare[0] in "!?" or is_cjk(before[-1:]))
    following = after.lstrip().lstrip("\"'“‘(*_[")[:1]
    if following.islower():
        return False
    if bare != ".":
        return True
    word = _LAST_WORD.search(before)
    if word is None:
        # "1. Turn it off": the number of a list's item, not a sentence of its own.
        return not text[stretch.start : mark.start()][:_NEAR].isdigit()
    name = word.group()
    if _NUMBERED.fullmatch(name):
        return not following.isdigit()
    return not _TITLE.fullmatch(name) and not (len(name) == 1 and name.isupper())
