"""Web pages: the main text with its structure, without menus, hidden text and scripts."""

from __future__ import annotations

import html as entities
import logging
import re
from itertools import islice
from typing import Any

from rung.data.parsing.blocks import Block, Parsed, Remark
from rung.data.parsing.markup import FURNITURE, SILENT, markup_blocks, tidy
from rung.data.parsing.refusal import Unreadable
from rung.data.parsing.text_bytes import declared_encoding, decode
from rung.data.parsing.unseen_markup import strip_unseen_elements

MAX_ELEMENTS = 20_000
"""Elements of a page beyond which no main text is looked for, as that takes ever longer: the whole page is kept."""
_LITTLE = 200
"""Characters of main text below which the page may have been misread."""
_TAG = re.compile(
    r"<(?:!--.*?(?:-->|$)|(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9:-]{0,40})[^>]*>?|[!?][^>]*>?)", re.DOTALL
)
# What the parser says where it drops text: a tree too deep, a text or name too long.
_LOST = re.compile(r"depth|huge|too long|too big|memory", re.IGNORECASE)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_ENDS = 5
_FURNITURE = re.compile(
    r"all rights reserved|^(?:copyright|©|\(c\)) ?\W?\d{4}|版权所有|版權所有|ICP[备備证證]|公网安备|设为首页|加入收藏|添加收藏|网站地图"
    r"|^(?:share|tweet|print|follow us|sign up|log ?in|subscribe)\b.{0,40}$|^(?:分享到|打印本页|关闭窗口|返回顶部)",
    re.IGNORECASE | re.MULTILINE,
)
_INLINE = frozenset(
    [
        "a",
        "abbr",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "em",
        "font",
        "i",
        "kbd",
        "mark",
        "q",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "tt",
        "u",
        "var",
    ]
)
# The names that trafilatura gives to the parts of a main text.
_PARTS = {
    "list": "ul",
    "item": "li",
    "row": "tr",
    "cell": "td",
    "lb": "br",
    "quote": "blockquote",
    "hi": "span",
    "ref": "span",
}


def parse_html(raw: bytes) -> Parsed:
    """A page's main text. Raises Unreadable as `decode`, E2329 for a page without text."""
    decoded = decode(raw, declared_encoding(raw))
    remarks = list(decoded.remarks)
    meta = {"format": "html", "encoding": decoded.encoding}
    root = read_page(decoded.text)
    if root is None:
        blocks = flat_blocks(decoded.text)
        remarks.append(Remark("E2346"))
        title = ""
    else:
        title, facts = _facts(root)
        meta |= facts
        if hidden := strip_unseen_elements(root):
            remarks.append(Remark("E2334", {"count": hidden}))
        blocks, is_main = _main_blocks(root)
        blocks = _without_furniture(blocks)
        if not is_main:
            remarks.append(Remark("E2344"))
    if not blocks:
        raise Unreadable("E2329")
    return Parsed(title, tuple(blocks), tuple(remarks), meta)


def read_page(text: str) -> Any:
    """The tree of an HTML text; None where it goes beyond the parser's limits of depth or length, so
    that text would be lost."""
    from lxml import html

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    data = _DECLARATION.sub("", text, count=1).replace("\0", "").encode("utf-8", "replace")
    try:
        root = html.document_fromstring(data, parser=parser)
    except Exception as error:
        # lxml raises ParserError, a ValueError or an XMLSyntaxError for a page without any element.
        if "empty" in str(error).lower() or not data.strip():
            return html.document_fromstring("<html><body></body></html>")
        return None
    if any(_LOST.search(entry.message) for entry in parser.error_log):
        return None
    _join_strays(root)
    return root


def _join_strays(root: Any) -> None:
    """Bring what stands behind a premature </body> or </html> back into the body, where text is looked for."""
    body = root.find("body")
    if body is None:
        return
    strays = [child for child in root if isinstance(child.tag, str) and child.tag not in ("head", "body")]
    for other in list(root.itersiblings()):
        strays += [child for child in other if isinstance(child.tag, str)]
    for stray in strays:
        if stray.tag == "body":
            stray.tag = "div"
        body.append(stray)


def flat_blocks(text: str) -> list[Block]:
    """The words of a page in one pass over its tags, however deeply they nest."""
    blocks: list[Block] = []
    held: list[str] = []
    at = 0
    skipping = ""

    def flush() -> None:
        if line := tidy(" ".join(entities.unescape("".join(held)).split())):
            blocks.append(Block("paragraph", line))
        held.clear()

    for tag in _TAG.finditer(text):
        if tag.start() < at:
            continue
        if not skipping:
            held.append(text[at : tag.start()])
        at = tag.end()
        name = (tag["name"] or "").lower()
        if skipping:
            if name == skipping and tag["end"]:
                skipping = ""
        elif name in ("script", "style", "noscript", "template", "svg", "iframe") and not tag["end"]:
            skipping = name
        elif name and name not in _INLINE:
            flush()
    if not skipping:
        held.append(text[at:])
    flush()
    return blocks


def fragment_blocks(text: str, page: str = "") -> list[Block]:
    """A piece of HTML inside another file (a feed's entry, a mail's body, a chapter), all of it, hidden elements removed."""
    root = read_page(text)
    if root is None:
        return flat_blocks(text)
    strip_unseen_elements(root)
    return markup_blocks(root, page)


def _main_blocks(root: Any) -> tuple[list[Block], bool]:
    """Blocks of the main text and True; of the whole page and False where no main text can be told."""
    if sum(1 for _ in islice(root.iter(), MAX_ELEMENTS + 1)) <= MAX_ELEMENTS:
        main = _extracted(root)
        if main is not None:
            blocks = markup_blocks(main)
            if _length(blocks) >= _LITTLE:
                return blocks, True
            whole = markup_blocks(root, silent=FURNITURE, drop_links=True)
            if blocks and _length(whole) < 2 * _length(blocks):
                return blocks, True
    return markup_blocks(root, silent=FURNITURE, drop_links=True) or markup_blocks(root, silent=SILENT), False


def _length(blocks: list[Block]) -> int:
    return sum(len(block.text) for block in blocks)


def _without_furniture(blocks: list[Block]) -> list[Block]:
    """Blocks without the menu lines that stand first and the imprint that stands last, where a page's own lie in its text."""
    ends = min(_ENDS, len(blocks) // 3)
    keep = [True] * len(blocks)
    for order in (range(ends), range(len(blocks) - 1, len(blocks) - 1 - ends, -1)):
        last = -1
        for n, at in enumerate(order):
            block = blocks[at]
            if block.kind != "heading" and len(block.text) < _LITTLE and _FURNITURE.search(block.text):
                last = n
        for n, at in enumerate(order):
            # Short lines between an imprint and the end of the page belong to it.
            if n <= last and len(blocks[at].text) < _LITTLE and blocks[at].kind != "heading":
                keep[at] = False
    return [block for block, kept in zip(blocks, keep, strict=True) if kept]


def _extracted(root: Any) -> Any:
    """The main text as trafilatura finds it, its parts named as in HTML."""
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    try:
        found = trafilatura.bare_extraction(root, include_comments=False, include_tables=True)
    except Exception:
        # A page that it stumbles over is read as a whole.
        return None
    body = getattr(found, "body", None)
    if body is None:
        return None
    for element in body.iter():
        if element.tag == "head":
            rank = element.get("rend", "h2")
            element.tag = rank if re.fullmatch("h[1-6]", rank) else "h2"
        elif element.tag == "list" and element.get("rend") == "ol":
            element.tag = "ol"
        elif element.tag == "code" and "\n" in "".join(element.itertext()):
            element.tag = "pre"
        elif element.tag in _PARTS:
            element.tag = _PARTS[element.tag]
    return body


def _facts(root: Any) -> tuple[str, dict[str, str]]:
    """A page's title, and author and date where its head names them."""
    named: dict[str, str] = {}
    for meta in root.iter("meta"):
        name = (meta.get("property") or meta.get("name") or "").lower()
        if name and meta.get("content"):
            named.setdefault(name, " ".join(meta.get("content").split()))
    title = named.get("og:title") or " ".join("".join(root.xpath("string(.//title)")).split())
    facts = {
        "author": named.get("author") or named.get("article:author") or "",
        "date": named.get("article:published_time") or named.get("date") or named.get("pubdate") or "",
    }
    return title, {name: value for name, value in facts.items() if value and len(value) < 200}
