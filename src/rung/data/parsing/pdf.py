"""PDF files: text in reading order, page by page, and what a page without usable text is told of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.pdf_blocks import learn_body, page_blocks
from rung.data.parsing.pdf_page import Page, pdfium_error, read_page
from rung.data.parsing.refusal import Unreadable

MAX_PAGES = 20_000
_GARBAGE = 0.15
_SCANNED = 8
"""Characters below which a page with a picture is taken for a scan: a page number or a stamp may be set as text."""
_NO_TITLE = re.compile(
    r"^(?:untitled|\(anonymous\)|unknown|microsoft \w+ -.*|.*\.(?:docx?|pdf|xlsx?|pptx?|exe|indd|qxd|rtf|txt|html?)|[\W\d_]*|slide \d+)$",
    re.IGNORECASE,
)


def parse_pdf(raw: bytes) -> Parsed:
    """The text of every page. Raises Unreadable E2320 locked, E2321 damaged, E2325 pictures alone, E2327 too many
    pages, E2329 no text."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(raw)
    except pdfium_error() as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise Unreadable("E2320") from error
        raise Unreadable("E2321", detail="PDF") from error
    try:
        return _parse(document)
    finally:
        document.close()


def _parse(document: Any) -> Parsed:
    count = len(document)
    if count > MAX_PAGES:
        raise Unreadable("E2327", size=0, parts=count)
    pages: list[Page] = []
    broken: list[int] = []
    for number in range(1, count + 1):
        try:
            page = document[number - 1]
        except pdfium_error():
            broken.append(number)
            pages.append(Page())
            continue
        pages.append(read_page(page))
        page.close()
    scanned = [n for n, page in enumerate(pages, 1) if page.characters < _SCANNED and page.pictures]
    readable = any(page.characters >= _SCANNED for page in pages)
    if not readable and not any(page.characters for page in pages):
        if scanned:
            raise Unreadable("E2325", pages=page_list(scanned))
        raise Unreadable("E2321", detail="PDF") if broken else Unreadable("E2329")
    body = learn_body(pages)
    blocks: list[Block] = []
    for number, page in enumerate(pages, 1):
        blocks += page_blocks(page, f"p. {number}", body)
    return Parsed(
        _title(document, blocks), tuple(blocks), tuple(_remarks(document, pages, scanned, broken)), _facts(document)
    )


def _remarks(document: Any, pages: Sequence[Page], scanned: list[int], broken: list[int]) -> list[Remark]:
    remarks = []
    if scanned:
        remarks.append(Remark("E2331", {"pages": page_list(scanned)}))
    if broken:
        remarks.append(Remark("E2349", {"pages": page_list(broken)}))
    bad = [n for n, page in enumerate(pages, 1) if page.garbage >= max(5, page.characters * _GARBAGE)]
    if bad:
        lost = sum(pages[n - 1].garbage for n in bad) / sum(pages[n - 1].characters for n in bad)
        remarks.append(Remark("E2332", {"pages": page_list(bad), "share": f"{lost:.0%}"}))
    if tiny := sum(page.tiny for page in pages):
        remarks.append(Remark("E2334", {"count": tiny}))
    if embedded := document.count_attachments():
        remarks.append(Remark("E2345", {"count": embedded, "names": "-"}))
    return remarks


def page_list(numbers: Sequence[int]) -> str:
    """Page numbers in few words: 1-3, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)


def _title(document: Any, blocks: Sequence[Block]) -> str:
    """The file's own title where it names one in words, else the largest heading of its first page."""
    title = " ".join(document.get_metadata_value("Title").replace("\0", "").split())
    if 3 < len(title) < 200 and not _NO_TITLE.match(title):
        return title
    first = [block for block in blocks if block.page == "p. 1" and block.kind == "heading" and len(block.text) > 3]
    return min(first, key=lambda block: block.level).text if first else ""


def _facts(document: Any) -> dict[str, str]:
    facts = {"format": "pdf", "pages": str(len(document))}
    for key, name in (("Author", "author"), ("CreationDate", "date")):
        value = " ".join(document.get_metadata_value(key).replace("\0", "").split())
        if name == "date" and (match := re.match(r"D:(\d{4})(\d{2})(\d{2})", value)):
            value = "-".join(match.groups())
        if value and len(value) < 200:
            facts[name] = value
    return facts
