"""Characters that show nothing: controls, zero-width, bidi marks and overrides, tags; kept where writing needs them."""

from __future__ import annotations

import re
from collections import Counter

from rung.text.script import is_cjk

UNSEEN = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc"
    "\U000e0000-\U000e01ef"
)
"""The inside of a regular expression's character class."""

_UNSEEN = re.compile(f"[{UNSEEN}]")
_SHOWN = re.compile(f"[{UNSEEN}\r\u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_UNSEEN_RUN = re.compile(f"[{UNSEEN}]*")
_JOINERS = "\u200c\u200d"
_DIRECTIONS = "\u200e\u200f\u061c"
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
# Scripts whose letters change shape at a joiner: Arabic and its kin, the Indic family, Khmer, Mongolian.
_JOINING = re.compile("[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc]")
_EMOJI = re.compile("[\u203c-\u3299\ufe0f\U0001f000-\U0001faff]")
_FLAG = "\U0001f3f4"
_REGIONS = re.compile(
    _FLAG
    + "(?:"
    + "|".join("".join(chr(0xE0000 + ord(c)) for c in name) for name in ("gbeng", "gbsct", "gbwls"))
    + ")\U000e007f"
)
"""The only flags that are made of tag characters: England, Scotland, Wales."""


def strip_unseen(text: str) -> str:
    """The text without characters that show nothing; vertical tabs and form feeds become line breaks.

    Kept: joiners between emoji and in scripts that need them, direction marks in right-to-left text, the tags of a
    region's flag, variation selectors of Chinese characters.
    """
    if not _UNSEEN.search(text):
        return text
    if _REGIONS.search(text):
        rest, kept = [], 0
        for flag in _REGIONS.finditer(text):
            rest += [_strip(text[kept : flag.start()]), flag.group()]
            kept = flag.end()
        return "".join([*rest, _strip(text[kept:])])
    return _strip(text)


def unseen_kinds(before: str, after: str) -> Counter[str]:
    """What was taken out, by code point: {'U+200B': 2}."""
    lost = Counter(_UNSEEN.findall(before)) - Counter(_UNSEEN.findall(after))
    return Counter({f"U+{ord(char):04X}": n for char, n in lost.items()})


def _strip(text: str) -> str:
    kept: list[str] = []
    last, at = "", 0
    directed = bool(_RIGHT_TO_LEFT.search(text))
    for match in _UNSEEN.finditer(text):
        if match.start() > at:
            kept.append(text[at : match.start()])
            last = text[match.start() - 1]
        at = match.end()
        char = _judge(match.group(), last, text, at, directed)
        if char:
            kept.append(char)
            last = char
    return "".join([*kept, text[at:]])


def _judge(char: str, last: str, text: str, after: int, directed: bool) -> str:
    """What stays of one character, `last` being what stays before it."""
    if char in "\x0b\x0c":
        return "\n"
    if char in _DIRECTIONS:
        return char if directed and last not in _DIRECTIONS else ""
    if char in _JOINERS:
        if _JOINING.match(last):
            return char
        following = text[_UNSEEN_RUN.match(text, after).end() :][:1]  # type: ignore[union-attr]
        return char if char == "\u200d" and _EMOJI.match(last) and _EMOJI.match(following) else ""
    return char if char >= "\U000e0100" and bool(last) and is_cjk(last) else ""


def show_unseen(text: str) -> str:
    """The text with characters that show nothing, and spaces other than the ordinary one, by their code points."""
    return _SHOWN.sub(lambda match: f"‹U+{ord(match.group()):04X}›", text)
