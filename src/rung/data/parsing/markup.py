"""A tree of HTML elements to blocks: headings, lists, tables, code; links keep their words and lose their targets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rung.data.parsing.blocks import Block
from rung.data.parsing.grid import markdown_table
from rung.text.script import CJK

SILENT = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "canvas",
        "iframe",
        "object",
        "embed",
        "audio",
        "video",
        "head",
        "select",
        "button",
        "input",
        "textarea",
        "map",
        "datalist",
        "dialog",
        "applet",
        "frameset",
    ]
)
FURNITURE = SILENT | {"nav", "footer", "aside"}
"""What is left out besides where a page is kept as a whole."""
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hgroup",
        "hr",
        "html",
        "legend",
        "main",
        "menu",
        "nav",
        "p",
        "quote",
        "section",
        "summary",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
        "caption",
        "item",
        "rb",
    ]
)
_LISTS = frozenset({"ul", "ol", "dir", "menu"})
_MAX_SPAN = 200
_MENU = 0.6
"""Share of a line in links above which it is taken for a menu."""
_LONG_CELL = 600
_SPACES = re.compile(r"[ \t\r\n\f\xa0]+")
_CJK_BREAK = re.compile(rf"(?<=[{CJK}，。、；：！？）」』”])[ \t]*\r?\n\s*(?=[{CJK}（「『“])")
_AROUND_LINE = re.compile(r" *\n *")


def markup_blocks(root: Any, page: str = "", silent: frozenset[str] = SILENT, drop_links: bool = False) -> list[Block]:
    """The blocks below an element in document order. Time grows with the number of elements, depth is that of the tree.

    `drop_links`: leave out paragraphs and items that are little else than links, which menus are made of.
    """
    walker = _Walker(page, silent, drop_links)
    walker.walk(root, 0)
    walker.flush()
    return walker.blocks


class _Walker:
    """Gathers inline text until a block begins or ends."""

    def __init__(self, page: str, silent: frozenset[str], drop_links: bool) -> None:
        self.blocks: list[Block] = []
        self._page, self._silent, self._drop_links = page, silent, drop_links
        self._inline: list[str] = []
        self._linked = 0
        """Characters of the gathered text that lie in links."""
        self._item: tuple[int, str] | None = None
        """Level and number of a list item whose first line is still to come."""

    def flush(self) -> None:
        text = tidy("".join(self._inline))
        self._inline.clear()
        linked, self._linked = self._linked, 0
        if not text or (self._drop_links and linked > len(text) * _MENU):
            return
        if self._item is None:
            self.blocks.append(Block("paragraph", text, page=self._page))
        else:
            level, number = self._item
            self.blocks.append(Block("item", number + text, level, self._page))
            self._item = None

    def walk(self, element: Any, level: int) -> None:
        tag = _name(element)
        if tag in self._silent:
            return
        if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self._heading(element, int(tag[1]))
        elif tag == "pre":
            self.flush()
            self._add("code", "".join(_texts(element, self._silent)).strip("\n"))
        elif tag == "table":
            self._table(element, level)
        elif tag in _LISTS:
            self._list(element, level, ordered=tag == "ol")
        elif tag == "li":
            self._one_item(element, level, "")
        elif tag == "br":
            self._inline.append("\n")
        elif tag in _BLOCKS:
            self.flush()
            self._children(element, level)
            self.flush()
        elif tag == "a":
            before = len(self._inline)
            self._children(element, level)
            self._linked += sum(map(len, self._inline[before:]))
        else:
            self._children(element, level)

    def _children(self, element: Any, level: int) -> None:
        if element.text:
            self._inline.append(_squeezed(element.text))
        for child in element:
            if isinstance(child.tag, str):
                self.walk(child, level)
            if child.tail:
                self._inline.append(_squeezed(child.tail))

    def _add(self, kind: Any, text: str, level: int = 0) -> None:
        if text.strip():
            self.blocks.append(Block(kind, text, level, self._page))

    def _heading(self, element: Any, depth: int) -> None:
        self.flush()
        text = " ".join("".join(_texts(element, self._silent)).split())
        # A whole paragraph set as a heading is a page's way to large letters.
        self._add("heading" if len(text) <= 300 else "paragraph", text, depth if len(text) <= 300 else 0)

    def _list(self, element: Any, level: int, ordered: bool) -> None:
        self.flush()
        number = _start(element)
        for child in element:
            tag = _name(child)
            if tag == "li":
                self._one_item(child, level, f"{number}. " if ordered else "")
                number += 1
            elif tag in _LISTS:
                self._list(child, level + 1, tag == "ol")
            elif tag:
                self.walk(child, level)
        self.flush()

    def _one_item(self, element: Any, level: int, number: str) -> None:
        self.flush()
        outer, self._item = self._item, (level, number)
        self._children(element, level + 1)
        self.flush()
        self._item = outer

    def _table(self, element: Any, level: int) -> None:
        self.flush()
        rows = list(_rows(element))
        cells = [cell for row in rows for cell in row]
        nested = any(next(cell.iter("table"), None) is not None for cell in cells)
        if nested or not cells or max(len(row) for row in rows) < 2:
            self._children(element, level)
            self.flush()
            return
        texts = [[" ".join("".join(_texts(cell, self._silent)).split()) for cell in row] for row in rows]
        if len(rows) == 1 or sum(len(text) > _LONG_CELL for row in texts for text in row) * 4 > len(cells):
            self._children(element, level)
            self.flush()
            return
        for caption in element.iterchildren("caption"):
            self._add("paragraph", tidy("".join(_texts(caption, self._silent))))
        self._add("table", markdown_table(_spread(rows, texts)))


def tidy(text: str) -> str:
    """Inline text with one space between words, and no space at the ends of lines."""
    return _AROUND_LINE.sub("\n", re.sub(" {2,}", " ", text)).strip()


def _name(element: Any) -> str:
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def _squeezed(text: str) -> str:
    return _SPACES.sub(" ", _CJK_BREAK.sub("", text))


def _texts(element: Any, silent: frozenset[str]) -> Iterator[str]:
    """The text below an element as it is, without its silent parts; `br` and inner blocks end a line."""
    stack: list[tuple[Any, bool]] = [(element, False)]
    while stack:
        node, done = stack.pop()
        if done:
            if node is not element:
                if _name(node) in _BLOCKS or _name(node) == "li":
                    yield "\n"
                if node.tail:
                    yield node.tail
            continue
        stack.append((node, True))
        tag = _name(node)
        if not tag or tag in silent:
            continue
        if tag == "br":
            yield "\n"
        if node.text:
            yield node.text
        stack.extend((child, False) for child in reversed(node))


def _rows(table: Any) -> Iterator[list[Any]]:
    """The cells of each row, not those of a table inside."""
    for part in table:
        tag = _name(part)
        if tag == "tr":
            yield [cell for cell in part if _name(cell) in ("td", "th")]
        elif tag in ("thead", "tbody", "tfoot"):
            yield from _rows(part)


def _spread(rows: list[list[Any]], texts: list[list[str]]) -> list[list[str]]:
    """Cells at their columns: a cell over several rows says its text in each, one over several columns in the first."""
    grid: list[list[str]] = []
    waiting: dict[int, tuple[int, str]] = {}
    for row, row_texts in zip(rows, texts, strict=True):
        line: list[str] = []
        pairs = iter(zip(row, row_texts, strict=True))
        while True:
            if len(line) in waiting:
                left, text = waiting.pop(len(line))
                if left > 1:
                    waiting[len(line)] = (left - 1, text)
                line.append(text)
                continue
            pair = next(pairs, None)
            if pair is None:
                if waiting and max(waiting) > len(line):
                    line.append("")
                    continue
                break
            cell, text = pair
            down = _span(cell, "rowspan")
            for n in range(_span(cell, "colspan")):
                if down > 1:
                    waiting[len(line)] = (down - 1, text if n == 0 else "")
                line.append(text if n == 0 else "")
        grid.append(line)
    return grid


def _span(cell: Any, name: str) -> int:
    value = cell.get(name) or "1"
    return min(max(int(value), 1), _MAX_SPAN) if value.isascii() and value.isdigit() else 1


def _start(element: Any) -> int:
    value = element.get("start") or "1"
    return int(value) if value.isascii() and value.isdigit() and len(value) < 9 else 1
