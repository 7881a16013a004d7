"""HTML that was left in plain text: tags, entities, comments. Code, prompts and `a < b` are not HTML."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.entities import html5

from rung.text.code import sub_outside_code
from rung.text.unseen import UNSEEN

_BLOCK = "p|div|br|hr|ul|ol|li|dl|dt|dd|table|thead|tbody|tfoot|tr|caption|h[1-6]|blockquote|center|marquee"
# Names that prompts use as marks of their own (<summary>, <title>, <code>, <s>) stay out.
_INLINE = "b|i|u|a|em|strong|font|span|small|big|strike|del|ins|img|sup|sub|nobr|wbr|td|th|col|colgroup|ruby|rb|iframe|noscript|link|meta"
_ATTRIBUTES = r"(?:\s+[\w:@.-]{1,60}\s*=\s*(?:\"[^\"<>]{0,4000}\"|'[^'<>]{0,4000}'|[^\s\"'<>]{1,2000}))"
_TAG = re.compile(rf"<(/?)({_BLOCK}|{_INLINE})({_ATTRIBUTES}*)\s*/?>", re.IGNORECASE)
_COMMENT = re.compile(r"<!--(?:(?!<!--)[\s\S]){0,20000}?-->")
_WITH_CONTENT = re.compile(
    r"<(script|style|rt|rp)(?:\s[^<>]{0,2000})?>(?:(?!<\1[\s>])[\s\S]){0,50000}?</\1\s*>", re.IGNORECASE
)
_RAISED = re.compile(r"<(sup|sub)>([^<>]{1,20})</\1>", re.IGNORECASE)
_CELLS = re.compile(r"</t[dh]\s*>\s*<t[dh](?:\s[^<>]{0,500})?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:amp;)*(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_GAP = re.compile(r"[ \t]*\n[ \t]*(?:\n[ \t]*)+")
_SPEAKS_OF_MARKUP = re.compile(
    r"\b(?:x?html\d?|xml|css|svg|markup|javascript|jsx|php|dom|href)\b|标签|標籤|标记语言|網頁代碼|网页代码|源代码|代码|前端|爬虫",
    re.IGNORECASE,
)
_UNSEEN = re.compile(f"[{UNSEEN}]")
_PAGE = re.compile(r"<!doctype|<\?xml|<(?:html|body|head|svg)\b", re.IGNORECASE)
_ALL_TAGS = re.compile(r"<[^<>]{0,4000}>")
_SUPER = str.maketrans("0123456789+-−=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿ")
_SUB = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_LONE = frozenset("biupa")
_IS_BLOCK = re.compile(_BLOCK)

REMAINS = re.compile(r"<[/!a-zA-Z]|&#?\w{1,31};")
"""What any remains begin with."""


def speaks_of_markup(text: str) -> bool:
    """Whether a text is about HTML, or is a page of it: then its tags are what it says, not remains."""
    # A character that cannot be seen parts no words, and is gone after the next step.
    text = _UNSEEN.sub("", text)
    return bool(_PAGE.search(text) or _SPEAKS_OF_MARKUP.search(_ALL_TAGS.sub(" ", text)))


def strip_html(text: str) -> str:
    """Plain text: known tags out (with line breaks for blocks, ` | ` between cells), entities as characters.

    Scripts, styles, comments and ruby readings go with what they hold; <sup>2</sup> becomes ². Left alone: code in
    backticks or fences, unknown tags (List<String>, <your name>, <|im_start|>), a bare <b> that nothing closes, and
    whole texts that speak of markup.
    """
    while REMAINS.search(text) and not speaks_of_markup(text):
        stripped = _strip(text)
        if stripped == text:
            break
        text = stripped
    return text


def _strip(text: str) -> str:
    if "<" in text:
        before = text
        for pattern, change in _CHANGES:
            text = sub_outside_code(pattern, change, text)
        text = _tags_out(text)
        if text != before and "\n" in text:
            text = sub_outside_code(_GAP, lambda match: "\n\n", text).strip("\n")
    return sub_outside_code(_ENTITY, _character, text) if "&" in text else text


def _tags_out(text: str) -> str:
    found = list(_TAG.finditer(text))
    opened = {tag[2].lower() for tag in found if not tag[1]}
    closed = {tag[2].lower() for tag in found if tag[1]}

    def replaced(tag: re.Match[str]) -> str:
        name = tag[2].lower()
        paired = name in opened and name in closed
        if name in _LONE and not tag[3] and not paired and not (name == "p" and len(found) > 2):
            return tag[0]
        return "\n" if _IS_BLOCK.fullmatch(name) else ""

    return sub_outside_code(_TAG, replaced, text)


def _raised(match: re.Match[str]) -> str:
    """Raised and lowered digits as such: without them 10<sup>2</sup> would read 102."""
    table, mark = (_SUPER, "^") if match[1].lower() == "sup" else (_SUB, "_")
    inner = match[2].strip()
    moved = inner.translate(table)
    changed = all(a != b for a, b in zip(inner, moved, strict=True))
    return moved if changed else f"{mark}{inner}"


def _character(match: re.Match[str]) -> str:
    name = match[1]
    if name[0] != "#":
        return html5.get(f"{name};", match[0])
    code = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
    usable = code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code <= 0x10FFFF
    return chr(code) if usable and not 127 <= code < 160 else match[0]


_CHANGES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_COMMENT, lambda match: ""),
    (_WITH_CONTENT, lambda match: ""),
    (_RAISED, _raised),
    (_CELLS, lambda match: " | "),
)
