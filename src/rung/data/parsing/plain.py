"""Markdown and plain text to blocks; the words stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rung.data.parsing.blocks import Block, Parsed
from rung.data.parsing.text_bytes import decode

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.+?)(?:\s+#+)?\s*$")
_UNDERLINE = re.compile(r"\s{0,3}(=+|-+)\s*$")
_ITEM = re.compile(r"(?P<indent>[ \t]*)(?:[-*+]|(?P<number>\d{1,9}[.)]))[ \t]+(?P<text>\S.*)$")
_RULE = re.compile(r"\s{0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_ROW = re.compile(r"\s{0,3}\|.*\|\s*$")
_FRONT = re.compile(r"---\n(.*?)\n(?:---|\.\.\.)\s*(?:\n|$)", re.DOTALL)
_FIELD = re.compile(r"^([A-Za-z][\w-]{0,40}):[ \t]*(\S.*)$", re.MULTILINE)


def parse_text(raw: bytes) -> Parsed:
    """Plain text: one block a paragraph. Raises Unreadable as `decode`."""
    decoded = decode(raw)
    parts = re.split(r"\n[ \t]*\n\s*?(?=\S|[ \t]+\S)", decoded.text.strip("\n"))
    blocks = tuple(Block("paragraph", part.strip("\n")) for part in parts if part.strip())
    return Parsed("", blocks, decoded.remarks, {"format": "txt", "encoding": decoded.encoding})


def parse_markdown(raw: bytes) -> Parsed:
    """Markdown: headings, items, tables and code told apart; a front matter goes to `meta`. Raises as `decode`."""
    decoded = decode(raw)
    text = decoded.text
    meta = {"format": "md", "encoding": decoded.encoding}
    if front := _FRONT.match(text):
        meta |= {name.lower(): value.strip("\"'") for name, value in _FIELD.findall(front[1])}
        text = text[front.end() :]
    blocks = tuple(markdown_blocks(text))
    first = next((block.text for block in blocks if block.kind == "heading"), "")
    title = meta.pop("title", "") or " ".join(first.split())
    return Parsed(title, blocks, decoded.remarks, meta)


def markdown_blocks(text: str) -> Iterator[Block]:
    """The blocks of Markdown text in order."""
    lines = text.split("\n")
    held: list[str] = []
    at = 0
    indents: list[int] = []
    while at < len(lines):
        line = lines[at]
        if fence := _FENCE.match(line):
            yield from _flushed(held)
            end = _fence_end(lines, at + 1, fence[1])
            yield Block("code", "\n".join(lines[at:end]))
            at = end
            continue
        if heading := _HEADING.match(line):
            yield from _flushed(held)
            indents.clear()
            yield Block("heading", heading[2], len(heading[1]))
        elif len(held) == 1 and (under := _UNDERLINE.match(line)):
            yield Block("heading", held.pop().strip(), 1 if under[1][0] == "=" else 2)
        elif not line.strip() or _RULE.match(line):
            yield from _flushed(held)
        elif _ROW.match(line):
            yield from _flushed(held)
            end = at
            while end < len(lines) and _ROW.match(lines[end]):
                end += 1
            yield Block("table", "\n".join(row.strip() for row in lines[at:end]))
            at = end
            continue
        elif item := _ITEM.match(line):
            yield from _flushed(held)
            end = at + 1
            while end < len(lines) and lines[end].strip() and not _starts_block(lines[end]):
                end += 1
            more = [part.strip() for part in lines[at + 1 : end]]
            number = f"{item['number']} " if item["number"] else ""
            yield Block("item", "\n".join([number + item["text"], *more]), _level(indents, item["indent"]))
            at = end
            continue
        else:
            if not line.startswith((" ", "\t")):
                indents.clear()
            held.append(line)
        at += 1
    yield from _flushed(held)


def _starts_block(line: str) -> bool:
    return any(pattern.match(line) for pattern in (_FENCE, _HEADING, _ITEM, _ROW))


def _flushed(held: list[str]) -> Iterator[Block]:
    if held:
        yield Block("paragraph", "\n".join(held))
        held.clear()


def _fence_end(lines: list[str], at: int, mark: str) -> int:
    """The line after the end of a block of code, which an unclosed one has at the end of the text."""
    for n in range(at, len(lines)):
        if lines[n].strip().startswith(mark) and not lines[n].strip().strip(mark[0]):
            return n + 1
    return len(lines)


def _level(indents: list[int], indent: str) -> int:
    """Depth of an item, from how far those above it are set in."""
    width = len(indent.expandtabs(4))
    while indents and indents[-1] >= width + (1 if len(indents) > 1 else 0) and indents[-1] > width:
        indents.pop()
    if not indents or width > indents[-1] + 1:
        indents.append(width)
    return len(indents) - 1
