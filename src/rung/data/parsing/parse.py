"""A file's bytes to blocks: the kind is told by the content, each kind has its own reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath

from rung.data.parsing.blocks import Parsed, Remark
from rung.data.parsing.hidden import see, show_blocks
from rung.data.parsing.refusal import Unreadable
from rung.data.parsing.sniff import kind_of_name, sniff

_SAME = {frozenset({"md", "txt"}), frozenset({"json", "jsonl"}), frozenset({"csv", "tsv"}), frozenset({"html", "xml"})}
"""Kinds that go by each other's names often enough not to be told."""


def parse(source: Path | bytes, name: str) -> Parsed:
    """The blocks of a document, without text that cannot be seen, and what to tell of how it was read.

    `name`: the file's name; its ending settles the kind only where the content does not. Raises Unreadable, a code of
    E2320-E2329, for a file of which nothing can be used; OSError where it cannot be opened.
    """
    raw = source if isinstance(source, bytes) else source.read_bytes()
    kind = sniff(raw, name)
    try:
        parsed = _reader(kind)(raw)
    except RecursionError as error:
        raise Unreadable("E2324", limit="-") from error
    blocks, told = show_blocks(parsed.blocks, parsed.title)
    if not blocks and kind not in ("md", "txt", "csv", "tsv", "json", "jsonl"):
        raise Unreadable("E2329")
    if not blocks:
        raise Unreadable("E2322")
    remarks = [*_wrong_name(name, kind), *parsed.remarks, *told]
    return replace(parsed, title=" ".join(see(parsed.title).text.split()), blocks=blocks, remarks=tuple(remarks))


def _wrong_name(name: str, kind: str) -> list[Remark]:
    promised = kind_of_name(name)
    if not promised or promised == kind or frozenset({promised, kind}) in _SAME:
        return []
    return [Remark("E2330", {"suffix": PurePath(name).suffix, "kind": kind})]


def _reader(kind: str) -> Callable[[bytes], Parsed]:
    """Readers are imported when a file needs them: each brings a library of its own."""
    if kind == "pdf":
        from rung.data.parsing.pdf import parse_pdf

        return parse_pdf
    if kind == "docx":
        from rung.data.parsing.docx import parse_docx

        return parse_docx
    if kind in ("xlsx", "xls"):
        from rung.data.parsing import sheets

        return sheets.parse_xlsx if kind == "xlsx" else sheets.parse_xls
    if kind == "pptx":
        from rung.data.parsing.slides import parse_pptx

        return parse_pptx
    if kind in ("eml", "msg"):
        from rung.data.parsing import mail

        return mail.parse_eml if kind == "eml" else mail.parse_msg
    if kind == "epub":
        from rung.data.parsing.books import parse_epub

        return parse_epub
    if kind == "html":
        from rung.data.parsing.html import parse_html

        return parse_html
    if kind == "xml":
        from rung.data.parsing.feeds import parse_xml

        return parse_xml
    if kind in ("csv", "tsv", "json", "jsonl"):
        from rung.data.parsing import records

        if kind in ("csv", "tsv"):
            return partial(records.parse_csv, suffix=f".{kind}")
        return partial(records.parse_json, lines=kind == "jsonl")
    from rung.data.parsing import plain

    return plain.parse_markdown if kind == "md" else plain.parse_text
