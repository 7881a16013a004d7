"""E-books (EPUB): the chapters in the order of the book's spine."""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import unquote

from rung.data.parsing.blocks import Block, Parsed
from rung.data.parsing.html import fragment_blocks
from rung.data.parsing.package import Package
from rung.data.parsing.refusal import Unreadable
from rung.data.parsing.text_bytes import declared_encoding, decode

_CHAPTERS = ("application/xhtml+xml", "text/html", "application/html+xml")


def parse_epub(raw: bytes) -> Parsed:
    """Raises Unreadable as Package and `read_xml`; E2320 for a protected book, E2321 without a package file, E2329
    without text."""
    package = Package(raw)
    if "META-INF/rights.xml" in package.names:
        raise Unreadable("E2320")
    container = package.xml("META-INF/container.xml")
    roots = [] if container is None else [entry.get("full-path") or "" for entry in _named(container, "rootfile")]
    main = next((name for name in roots if name in package.names), "")
    book = package.xml(main) if main else None
    if book is None:
        raise Unreadable("E2321", detail="EPUB")
    folder = posixpath.dirname(main)
    items = {entry.get("id"): entry for entry in _named(book, "item")}
    blocks: list[Block] = []
    for reference in _named(book, "itemref"):
        item = items.get(reference.get("idref"))
        if item is None or (item.get("media-type") not in _CHAPTERS):
            continue
        name = posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
        if name in package.names:
            data = package.read(name)
            if data.strip():
                blocks += fragment_blocks(decode(data, declared_encoding(data)).text)
    if not blocks:
        raise Unreadable("E2329")
    meta = {"format": "epub"}
    for key, name in (("creator", "author"), ("date", "date"), ("language", "language")):
        text = next((" ".join((entry.text or "").split()) for entry in _named(book, key) if entry.text), "")
        if text:
            meta[name] = text
    title = next((" ".join((entry.text or "").split()) for entry in _named(book, "title") if entry.text), "")
    return Parsed(title, tuple(blocks), (), meta)


def _named(root: Any, name: str) -> list[Any]:
    return [
        element for element in root.iter() if isinstance(element.tag, str) and element.tag.rpartition("}")[2] == name
    ]
