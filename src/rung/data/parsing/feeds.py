"""XML files: RSS and Atom feeds entry by entry, any other XML as its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.html import fragment_blocks
from rung.data.parsing.package import read_xml, was_repaired
from rung.data.parsing.refusal import Unreadable
from rung.data.parsing.text_bytes import declared_encoding, decode

_MARKUP = re.compile(r"<[a-zA-Z/!]|&(?:[a-zA-Z]+|#\d+);")
_LONG = ("encoded", "content", "description", "summary")
_DATES = ("pubDate", "published", "updated", "date", "modified", "issued")
_MAX_LABEL = 60


def parse_xml(raw: bytes) -> Parsed:
    """Raises Unreadable as `decode` and `read_xml`, E2329 for XML without text."""
    decoded = decode(raw, declared_encoding(raw))
    remarks = list(decoded.remarks)
    text = _legal(decoded.text).strip()
    root = read_xml(text)
    if was_repaired(text):
        remarks.append(Remark("E2346"))
    kind = _name(root)
    meta = {"format": "xml", "encoding": decoded.encoding}
    if kind in ("rss", "feed", "RDF"):
        meta["format"] = "rss" if kind != "feed" else "atom"
        head = next((child for child in root if _name(child) == "channel"), root)
        title = _plain(_child(head, "title"))
        blocks = list(_feed_blocks(root, head, title))
    else:
        title, blocks = "", list(_tree_blocks(root))
    if not blocks:
        raise Unreadable("E2329")
    return Parsed(title, tuple(blocks), tuple(remarks), meta)


def _feed_blocks(root: Any, head: Any, title: str) -> Iterator[Block]:
    if title:
        yield Block("heading", title, 1)
    about = _plain(_child(head, "description")) or _plain(_child(head, "subtitle"))
    if about:
        yield Block("paragraph", about)
    for entry in root.iter():
        if _name(entry) not in ("item", "entry"):
            continue
        if heading := _plain(_child(entry, "title")):
            yield Block("heading", heading, 2)
        facts = [_plain(_child(entry, *_DATES)), _plain(_child(entry, "creator", "author"))]
        if line := ", ".join(fact for fact in facts if fact):
            yield Block("paragraph", line)
        # Where an entry holds its text and a summary of it, the text is taken.
        content = next(
            (child for name in _LONG if (child := _child(entry, name)) is not None and _inner(child).strip()), None
        )
        if content is not None:
            yield from _html_blocks(_inner(content))


def _html_blocks(text: str) -> Iterator[Block]:
    if _MARKUP.search(text):
        for block in fragment_blocks(text):
            # Headings inside an entry lie below the entry's own.
            yield Block(block.kind, block.text, min(block.level + 2, 6) if block.kind == "heading" else block.level)
    else:
        yield from (Block("paragraph", part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip())


def _tree_blocks(root: Any) -> Iterator[Block]:
    """Elements with text of their own: short ones by name and value in one block for each parent, long ones alone."""
    held: list[str] = []
    parent = None
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        text = " ".join((element.text or "").split())
        tails = " ".join(" ".join((child.tail or "").split()) for child in element).strip()
        whole = f"{text} {tails}".strip()
        if not whole:
            continue
        if element.getparent() is not parent and held:
            yield Block("paragraph", "\n".join(held))
            held = []
        parent = element.getparent()
        if len(whole) > 200 or _MARKUP.search(whole):
            if held:
                yield Block("paragraph", "\n".join(held))
                held = []
            yield from _html_blocks(whole)
        else:
            held.append(f"{_name(element)[:_MAX_LABEL]}: {whole}" if len(element) == 0 else whole)
    if held:
        yield Block("paragraph", "\n".join(held))


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _child(element: Any, *names: str) -> Any:
    return next((child for name in names for child in element if _name(child) == name), None)


def _inner(element: Any) -> str:
    """What an element holds: its text, or its markup where XHTML stands in it as elements."""
    if len(element) == 0:
        return element.text or ""
    from lxml import etree

    parts = [element.text or "", *(etree.tostring(child, encoding="unicode", with_tail=True) for child in element)]
    return "".join(parts)


def _plain(element: Any) -> str:
    """A short field on one line, markup and entities resolved."""
    if element is None:
        return ""
    text = " ".join("".join(element.itertext()).split())
    if _MARKUP.search(text):
        text = " ".join(" ".join(block.text for block in fragment_blocks(text)).split())
    return text


def _legal(text: str) -> str:
    """Text without the characters that XML 1.0 does not allow."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", text)
