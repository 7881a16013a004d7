"""Elements of a page that no reader sees: taken out before its text is, and counted."""

from __future__ import annotations

import re
from typing import Any

from rung.data.parsing.hidden import find_orders

_HIDES = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|(?<![-\w])opacity\s*:\s*0(?:\.0+)?\s*(?:;|$|!)"
    r"|text-indent\s*:\s*-\d{3,}|(?:left|top)\s*:\s*-\d{4,}px",
    re.IGNORECASE,
)
_WHITE = re.compile(
    r"(?<![-\w])color\s*:\s*(?:white|#fff(?:fff)?|rgba?\(\s*255\s*,\s*255\s*,\s*255[^)]*\)|transparent)\s*(?:;|$|!)",
    re.IGNORECASE,
)
_BACKGROUND = re.compile(r"background(?:-color|-image)?\s*:", re.IGNORECASE)
_WHITE_BACKGROUND = re.compile(
    r"background(?:-color)?\s*:\s*(?:white|#fff(?:fff)?|rgb\(\s*255\s*,\s*255\s*,\s*255\s*\))\s*(?:;|$|!)",
    re.IGNORECASE,
)
_RULE = re.compile(r"(?:^|[};,]|\*/)\s*([.#][A-Za-z_][\w-]{0,80})\s*\{([^{}]{0,2000})\}")
_MEDIA = re.compile(r"@media[^{]{0,500}\{(?:[^{}]{0,5000}\{[^{}]{0,5000}\}){0,500}\s*\}")
_MOST = 0.4
"""An element with more than this share of a page's text stays: a page that scripts bring to light, not a trick. One that gives
a model orders goes all the same."""


def strip_unseen_elements(root: Any) -> int:
    """Remove what is hidden by an attribute, an inline style or a plain rule of a style element; how many held text."""
    rules = _hiding_rules(root)
    found = [element for element in root.iter() if isinstance(element.tag, str) and _is_hidden(element, rules)]
    if not found:
        return 0
    total = _length(root) or 1
    count = 0
    gone: set[Any] = set()
    for element in found:
        parent = element.getparent()
        if parent is None or element.tag in ("html", "head", "body", "script", "style", "link", "meta", "img", "input"):
            continue
        if any(above in gone for above in element.iterancestors()):
            continue
        length = _length(element)
        if length > total * _MOST and not find_orders(" ".join(element.itertext())):
            continue
        gone.add(element)
        count += length > 0
    for element in gone:
        element.drop_tree()
    return count


def _length(element: Any) -> int:
    """Characters of the text below an element, scripts and styles not counted."""
    return sum(
        len((part.text or "").strip()) * (part.tag not in ("script", "style"))
        + len((part.tail or "").strip()) * (part is not element)
        for part in element.iter()
        if isinstance(part.tag, str)
    )


def _is_hidden(element: Any, rules: frozenset[str]) -> bool:
    attributes = element.attrib
    if "hidden" in attributes and attributes["hidden"] != "until-found":
        return True
    style = attributes.get("style")
    if style and (_HIDES.search(style) or (_WHITE.search(style) and _on_white(element, style))):
        return True
    if element.tag == "font" and attributes.get("color", "").lower() in ("white", "#ffffff", "#fff"):
        return _on_white(element, "")
    if not rules:
        return False
    if f"#{attributes.get('id')}" in rules:
        return True
    return any(f".{name}" in rules for name in attributes.get("class", "").split())


def _on_white(element: Any, style: str) -> bool:
    """Whether white text lies on a white ground, as far as the elements above say."""
    if _BACKGROUND.search(style):
        return _WHITE_BACKGROUND.search(style) is not None
    for above in element.iterancestors():
        ground = above.get("style", "")
        if above.get("bgcolor"):
            return above.get("bgcolor", "").lower() in ("white", "#fff", "#ffffff")
        if _BACKGROUND.search(ground):
            return _WHITE_BACKGROUND.search(ground) is not None
        # A class may set a ground that only the page's style sheets know.
        if above.get("class") and above.tag != "body":
            return False
    return True


def _hiding_rules(root: Any) -> frozenset[str]:
    found: set[str] = set()
    for style in root.iter("style"):
        text = _MEDIA.sub(" ", (style.text or "")[: 1 << 18])
        found.update(match[1] for match in _RULE.finditer(text) if _HIDES.search(match[2]))
    return frozenset(found)
