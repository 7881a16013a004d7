"""Documents cut into passages that stand alone: whole sections, paragraphs, lists and tables where they fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rung.core.answer import Item
from rung.core.task import Document
from rung.retrieval.outline import Block, Section, outline
from rung.text.normalise import fold, squeeze
from rung.text.script import CJK
from rung.text.sentences import Span, sentences

_LONGEST_NAME = 120
_LONG_WORD = 12
_PIECE = re.compile(rf"(?P<cjk>[{CJK}]+)|(?P<letters>[^\W{CJK}]+)|[^\w\s]+")
_LEAST = 4
"""Words that the longest uncut run of letters counts for."""
_SLICE = re.compile(rf"[{CJK}]|[^\W{CJK}]{{1,{_LEAST * _LONG_WORD}}}|[^\w\s]{{1,{_LEAST * _LONG_WORD}}}")
_SMALL = 1 / 3
"""A passage is small below this share of `chunk_words`: it then takes in what follows, even in part."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """The least that is moved from one passage to the next: a sentence, item or row, or a piece of an endless one."""

    span: Span
    words: float
    header: str = ""
    """First row of the table that this row continues."""


@dataclass(frozen=True, slots=True)
class _Passage:
    span: Span
    above: str
    """What its text begins with: title and headings, and the first row of a table that it continues."""


def chunk_documents(documents: Sequence[Document], chunk_words: int, overlap: int) -> list[Item]:
    """Passages of at most `chunk_words` words, in the order of the documents; a document without text yields none.

    A passage is a section, or several small neighbours, where that fits; else as many whole paragraphs, lists and
    tables as fit. A block too long to fit is cut between sentences, items or rows. A section's next passage repeats up
    to `overlap` words of whole sentences from the one before. Two Chinese characters count as one word, since they say
    about as much.

    Item: `id` is `<document id>#<n>`, n from 1, with the page where there are pages: `report.pdf#4 (p. 2)`. `text` is
    the title and the headings, then characters `start` to `end` of the document, unchanged, as its last `end - start`
    characters; the title and headings do not count towards `chunk_words`. `payload` = {document, title, start, end}, with
    the document's `access` and `metadata` where it has them.
    """
    if chunk_words < _LEAST or not 0 <= overlap < chunk_words:
        raise ValueError(
            f"chunk_words={chunk_words}, overlap={overlap}: need chunk_words >= {_LEAST} and > overlap >= 0"
        )
    items = []
    for document in documents:
        for n, passage in enumerate(_passages(document, chunk_words, overlap), 1):
            body = passage.span.of(document.text)
            text = f"{passage.above}\n{body}" if passage.above else body
            start, end = passage.span
            payload: dict[str, Any] = {"document": document.id, "title": document.title, "start": start, "end": end}
            if document.access:
                payload["access"] = sorted(set(document.access))
            if document.metadata:
                payload["metadata"] = dict(document.metadata)
            # The id is what a citation shows; it ends with the page where the document has pages.
            place = document.place(start).replace("#", "")
            items.append(Item(f"{document.id}#{n} ({place})" if place else f"{document.id}#{n}", text, payload))
    return items


def count_words(text: str) -> float:
    """Length of a text in words: two CJK characters, a word of up to twelve letters, twelve letters of a longer one.

    Marks count where twelve or more stand together, so that no passage is a long line of dots.
    """
    total = 0.0
    for piece in _PIECE.finditer(text):
        length = len(piece.group())
        total += (
            length / 2 if piece["cjk"] else math.ceil(length / _LONG_WORD) if piece["letters"] else length // _LONG_WORD
        )
    return total


def _passages(document: Document, limit: int, overlap: int) -> Iterator[_Passage]:
    text = document.text
    for group in _neighbours(text, outline(text), limit):
        above = _above(document.title, group[0].path)
        whole = Span(group[0].span.start, group[-1].span.end)
        if len(group) > 1 or count_words(whole.of(text)) <= limit:
            yield _Passage(whole, above)
        else:
            for units in _pack(text, group[0].blocks, limit, overlap):
                lines = (above, units[0].header)
                yield _Passage(Span(units[0].span.start, units[-1].span.end), "\n".join(filter(None, lines)))


def _neighbours(text: str, sections: Sequence[Section], limit: int) -> Iterator[list[Section]]:
    """Small sections below one heading, put together while they fit."""
    group: list[Section] = []
    for section in sections:
        if group:
            first = group[0]
            parent = first.path[:-1]
            same_parent = section.path[: len(parent)] == parent
            so_far = count_words(text[first.span.start : group[-1].span.end])
            together = count_words(text[first.span.start : section.span.end])
            if same_parent and so_far < limit * _SMALL and together <= limit:
                group.append(section)
                continue
            yield group
        group = [section]
    if group:
        yield group


def _above(title: str, path: Sequence[str]) -> str:
    """The title and the headings in one line, each once."""
    names: list[str] = []
    for name in map(squeeze, (title, *path)):
        if name and not (names and fold(names[-1]) == fold(name)):
            names.append(name)
    return " > ".join(name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…" for name in names)


def _pack(text: str, blocks: Sequence[Block], limit: int, overlap: int) -> Iterator[list[_Unit]]:
    """Whole blocks as long as they fit; the end of one passage may begin the next."""
    held: list[_Unit] = []
    for block in blocks:
        units = _units(text, block, limit)
        size = _total(units)
        if size <= limit < _total(held) + size and _total(held) >= limit * _SMALL:
            yield held
            held = _tail(held, min(overlap, limit - size))
        for unit in units:
            if held and _total(held) + unit.words > limit:
                yield held
                held = _tail(held, min(overlap, limit - unit.words))
            held.append(unit)
    yield held


def _total(units: Sequence[_Unit]) -> float:
    return sum(unit.words for unit in units)


def _tail(units: Sequence[_Unit], room: float) -> list[_Unit]:
    """The last units that together have at most `room` words."""
    first = len(units)
    while first > 0 and _total(units[first - 1 :]) <= room:
        first -= 1
    return list(units[first:])


def _units(text: str, block: Block, limit: int) -> list[_Unit]:
    units: list[_Unit] = []
    for span in sentences(text, block.span) if block.kind == "text" else block.parts:
        # Without its first row, the rest of a table is a riddle.
        header = block.parts[0].of(text) if block.kind == "table" and units else ""
        words = count_words(span.of(text))
        if words <= limit:
            units.append(_Unit(span, words, header))
        else:
            for piece in sentences(text, span) if block.kind == "list" else [span]:
                units += _slices(text, piece, limit, header)
    return units


def _slices(text: str, span: Span, limit: int, header: str) -> Iterator[_Unit]:
    """A span too long for a passage, cut between words or characters."""
    start, end, words = span.start, span.start, 0.0
    for piece in _SLICE.finditer(text, span.start, span.end):
        size = count_words(piece.group())
        if words + size > limit:
            yield _Unit(Span(start, end), words, header)
            start, words = piece.start(), 0.0
        words += size
        end = piece.end()
    yield _Unit(Span(start, end), words, header)
