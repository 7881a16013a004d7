"""What a parsed file is: blocks in reading order, and the document they make, with every block's span."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rung.core.task import Document, Mark

_NUMBERED = re.compile(r"\d{1,9}[.)]\s")
BlockKind = Literal["heading", "paragraph", "item", "table", "code", "note"]


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a file that belongs together: a paragraph, a table as Markdown rows, a heading without its marks.

    An item of a numbered list begins with its number ("3. Sign"), any other item has no mark.
    """

    kind: BlockKind
    text: str
    level: int = 0
    """Depth of a heading from 1, or of a list item from 0."""
    page: str = ""
    """Label of the page, sheet or slide that it begins on, as in `Mark`; '' where the format has none."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something a person should know about how a file was read. A code of the message catalogue, E2330-E2349."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Parsed:
    """What a file held."""

    title: str
    """The file's own title; '' where it has none."""
    blocks: tuple[Block, ...]
    remarks: tuple[Remark, ...] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    """Plain facts: format, encoding, pages, author, date, ..."""


def to_document(parsed: Parsed, id: str, name: str) -> Document:
    """The document of a parsed file: blocks joined by blank lines, headings and items with their Markdown marks.

    `name` is the title of a file that has none.
    """
    parts: list[str] = []
    marks: list[Mark] = []
    length = 0
    last = ""
    for block in parsed.blocks:
        text = _written(block)
        if not text:
            continue
        if parts:
            gap = "\n" if block.kind == last == "item" else "\n\n"
            parts.append(gap)
            length += len(gap)
        if block.page and (not marks or marks[-1].label != block.page):
            marks.append(Mark(length, block.page))
        parts.append(text)
        length += len(text)
        last = block.kind
    return Document(id, parsed.title or name, "".join(parts), dict(parsed.meta), tuple(marks))


def _written(block: Block) -> str:
    text = block.text.strip("\n")
    if not text.strip():
        return ""
    if block.kind == "heading":
        return f"{'#' * min(max(block.level, 1), 6)} {' '.join(text.split())}"
    if block.kind == "item":
        return f"{'  ' * block.level}{'' if _NUMBERED.match(text) else '- '}{text}"
    return text
