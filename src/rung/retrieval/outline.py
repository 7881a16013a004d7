"""The outline of a document: its sections by heading, and the paragraphs, lists, tables and code in them, as spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from rung.text.sentences import LIST_MARK, Span, trim

Kind = Literal["text", "list", "table", "code"]

# Lines come without white space at their ends.
_HEADING = re.compile(r"(#{1,6})\s+(?=\S)")
_UNDERLINE = re.compile(r"(={3,}|-{3,})$")
_RULE = re.compile(r"(?:-{3,}|\*{3,}|_{3,})$")
_CHAPTER = re.compile(r"第[一二三四五六七八九十百千零〇\d]{1,7}([编編部篇章节節])分?(?:[\s:：]\s*\S.{0,40})?$")
_CHAPTER_LEVEL = {"编": 1, "編": 1, "部": 1, "篇": 1, "章": 2, "节": 3, "節": 3}
_FENCE = re.compile(r"```|~~~")
_ROW = re.compile(r"\|.*\|$")
_ITEM = re.compile(LIST_MARK)


@dataclass(slots=True)
class Block:
    """Lines that belong together. `parts`: the items of a list, the rows of a table, the lines of code or of a text."""

    kind: Kind
    parts: list[Span]

    @property
    def span(self) -> Span:
        return Span(self.parts[0].start, self.parts[-1].end)


@dataclass(slots=True)
class Section:
    """What lies below one heading, up to the next one. `path`: the headings that lead there, its own last."""

    path: tuple[str, ...]
    level: int = 0
    heading: Span | None = None
    blocks: list[Block] = field(default_factory=list)

    @property
    def span(self) -> Span:
        return Span(self.blocks[0].span.start, self.blocks[-1].span.end)


@dataclass(frozen=True, slots=True)
class _Heading:
    level: int
    name: Span


def outline(text: str) -> list[Section]:
    """Sections in order, each with at least one block.

    Headings: Markdown's `#` and underlined ones, and a line such as "第二章 总则". A heading with nothing below it, neither
    text nor further headings, is a section of its own whose only block is the heading, so that no word is lost.
    """
    sections: list[Section] = [Section(())]
    open_headings: list[Section] = []
    for piece in _pieces(text):
        if isinstance(piece, Block):
            sections[-1].blocks.append(piece)
            continue
        while open_headings and open_headings[-1].level >= piece.level:
            open_headings.pop()
        path = (*(section.path[-1] for section in open_headings), piece.name.of(text))
        sections.append(Section(path, piece.level, piece.name))
        open_headings.append(sections[-1])
    found = []
    for section, following in zip(sections, [*sections[1:], None], strict=True):
        if section.blocks:
            found.append(section)
        elif section.heading and (following is None or following.level <= section.level):
            found.append(Section(section.path[:-1], section.level, None, [Block("text", [section.heading])]))
    return found


def _pieces(text: str) -> Iterator[Block | _Heading]:
    """Blocks and headings in the order of the text."""
    block: Block | None = None
    fence = ""
    for line in _lines(text):
        words = line.of(text)
        if fence:
            assert block is not None
            if words:
                block.parts.append(line)
            if words.startswith(fence):
                yield block
                block, fence = None, ""
            continue
        heading = _heading(text, line, block)
        opening = _FENCE.match(words)
        if heading is not None or opening or not words or _RULE.match(words):
            # An underline turns the line above it into the heading.
            if block is not None and not (heading and heading.name == block.span):
                yield block
            block = None
            if heading is not None:
                yield heading
            elif opening:
                block, fence = Block("code", [line]), opening.group()
            continue
        kind: Kind = "table" if _ROW.match(words) else "list" if _ITEM.match(words) else "text"
        if block is not None and kind == "text" and block.kind == "list":
            # The item goes on, wrapped.
            block.parts[-1] = Span(block.parts[-1].start, line.end)
        elif block is not None and kind == block.kind:
            block.parts.append(line)
        else:
            if block is not None:
                yield block
            block = Block(kind, [line])
    if block is not None:
        yield block


def _heading(text: str, line: Span, block: Block | None) -> _Heading | None:
    words = line.of(text)
    if marked := _HEADING.match(words):
        name = words[marked.end() :]
        closed = name.rstrip("#").rstrip()
        # "## Fees ##" is closed, "## C#" is not.
        if name[len(closed) : len(closed) + 1].isspace():
            name = closed
        start = line.start + marked.end()
        return _Heading(len(marked.group(1)), Span(start, start + len(name)))
    if chapter := _CHAPTER.match(words):
        return _Heading(_CHAPTER_LEVEL[chapter.group(1)], line)
    under = _UNDERLINE.match(words)
    if under and block is not None and block.kind == "text" and len(block.parts) == 1:
        return _Heading(1 if under.group(1)[0] == "=" else 2, block.parts[0])
    return None


def _lines(text: str) -> Iterator[Span]:
    """Lines without the white space at their ends; a blank line is an empty span."""
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield trim(text, Span(start, end))
        start = end + 1
