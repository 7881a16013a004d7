"""One page of a PDF as runs of characters and ruled lines, in a frame in which its text runs from left to right."""

from __future__ import annotations

import bisect
import ctypes
import itertools
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rung.text.script import is_cjk

_SPLIT = 1.0
"""A gap of this many font sizes ends a run: the next one is another cell or column."""
_WORD = 0.22
_TINY = 1.5
"""Points below which text is not meant to be seen."""
_BOLD = re.compile(r"bold|black|heavy|semibold|demi", re.IGNORECASE)
# The bullets of the symbol fonts of office programs.
_SYMBOLS = {0xF0B7: "•", 0xF0A7: "▪", 0xF0D8: "▸", 0xF0FC: "✓", 0xF06F: "○", 0xF076: "❖", 0xF0E0: "→", 0xF02D: "-"}
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
_CHECKED = 400
"""Characters of a page that are asked whether their font says what they are."""


@dataclass(slots=True)
class Run:
    """Characters in a row. Coordinates in points, x along the text, y downwards."""

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    bold: bool = False
    points: float = 0.0
    """Size of the font; boxes of one size differ from font to font."""

    @property
    def size(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(frozen=True, slots=True)
class Rule:
    """A drawn line, across where `across`, else down."""

    across: bool
    at: float
    start: float
    end: float


@dataclass
class Page:
    """What a page holds. `others`: runs that are set in another direction than most of the text."""

    runs: list[Run] = field(default_factory=list)
    others: list[Run] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    characters: int = 0
    garbage: int = 0
    """Characters whose font does not say what they are."""
    tiny: int = 0
    pictures: int = 0
    vertical: bool = False


@dataclass(slots=True)
class _Char:
    text: str
    left: float
    bottom: float
    right: float
    top: float
    index: int
    gap: bool = False
    """A space stands before it."""
    spaced: bool = False
    """The file itself holds that space; it is not told from white space."""
    ends: bool = False
    """A line ended before it."""


def read_page(page: Any) -> Page:
    """Characters and rules of a pypdfium2 page. Raises PdfiumError where the page cannot be loaded."""
    import pypdfium2.raw as pdfium

    found = Page()
    pictures, rules = _objects(page)
    found.pictures = pictures
    textpage = page.get_textpage()
    try:
        groups = _characters(textpage.raw, found, pdfium)
        if not groups:
            return found
        main = max(groups, key=lambda quarter: len(groups[quarter]))
        found.vertical = main == 0 and _is_vertical(groups[0])
        frame = 3 if found.vertical else main
        found.rules = [_turned_rule(rule, frame) for rule in rules]
        fonts = _Fonts(textpage.raw, pdfium)
        found.runs = _runs(groups[main], frame, found.rules, fonts)
        for quarter in sorted(groups):
            if quarter != main:
                found.others += _runs(groups[quarter], quarter, [], fonts)
        return found
    finally:
        textpage.close()


class _Fonts:
    """How the characters of a page are set."""

    def __init__(self, textpage: Any, pdfium: Any) -> None:
        self._textpage, self._pdfium = textpage, pdfium
        self._buffer = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()
        self._matrix = pdfium.FS_MATRIX()

    def points(self, index: int) -> float:
        """Size of a character's font as it is shown."""
        if not self._pdfium.FPDFText_GetMatrix(self._textpage, index, ctypes.byref(self._matrix)):
            return 0.0
        scale = math.hypot(self._matrix.c, self._matrix.d)
        return float(self._pdfium.FPDFText_GetFontSize(self._textpage, index)) * scale

    def all_bold(self, first: int, last: int) -> bool:
        """Whether the characters of a run are bold, as far as its two ends and its middle tell."""
        return self._is_bold(first) and self._is_bold(last) and self._is_bold((first + last) // 2)

    def _is_bold(self, index: int) -> bool:
        length = self._pdfium.FPDFText_GetFontInfo(self._textpage, index, self._buffer, 128, ctypes.byref(self._flags))
        return bool(0 < length <= 128 and _BOLD.search(self._buffer.value.decode("latin-1")))


def _characters(textpage: Any, page: Page, pdfium: Any) -> dict[int, list[_Char]]:
    """The characters of a page by the quarter turn that their line is set at."""
    groups: dict[int, list[_Char]] = {}
    box = pdfium.FS_RECTF()
    pointer = ctypes.byref(box)
    gap = spaced = ends = False
    last: tuple[str, float, float] | None = None
    for index in range(pdfium.FPDFText_CountChars(textpage)):
        code = pdfium.FPDFText_GetUnicode(textpage, index)
        if code in (10, 13):
            ends = True
            continue
        if code in (9, 32, 0xA0, 0x3000, 0x2002, 0x2003, 0x2009):
            gap = True
            spaced = spaced or pdfium.FPDFText_IsGenerated(textpage, index) == 0
            continue
        if code == 0xFFFE or code == 2:
            code = 0x2D
        pdfium.FPDFText_GetLooseCharBox(textpage, index, pointer)
        text = _SYMBOLS.get(code) or _LIGATURES.get(code) or (chr(code) if code else "\ufffd")
        if (
            min(abs(box.top - box.bottom), abs(box.right - box.left)) < 0.01
            and max(box.top - box.bottom, box.right - box.left) < 0.01
        ):
            continue
        if max(box.top - box.bottom, box.right - box.left) < _TINY and text.isalnum():
            page.tiny += 1
            continue
        # Heavy type drawn as the same letter twice, a hair apart.
        place = (text, box.left, box.bottom)
        if last and last[0] == text and abs(last[1] - box.left) < 0.8 and abs(last[2] - box.bottom) < 0.8:
            continue
        last = place
        page.characters += 1
        if _is_garbage(code) or (index < _CHECKED and pdfium.FPDFText_HasUnicodeMapError(textpage, index) == 1):
            page.garbage += 1
        angle = pdfium.FPDFText_GetCharAngle(textpage, index)
        quarter = round(angle / (math.pi / 2)) % 2 if angle > 0.01 or angle < -0.01 else 0
        groups.setdefault(quarter, []).append(
            _Char(text, box.left, box.bottom, box.right, box.top, index, gap, spaced, ends)
        )
        gap = spaced = ends = False
    return {_direction(chars, along): chars for along, chars in groups.items()}


def _direction(chars: list[_Char], along: int) -> int:
    """Which way text goes, in quarter turns from left to right: told by how letters follow each other, because a font may be
    flipped and so the angle it gives. `along`: 0 for lines across the page, 1 for lines up or down."""
    forward = backward = 0
    for one, two in itertools.pairwise(chars):
        if _is_leftward(two.text[0]):
            continue
        x, y = two.left - one.left, two.bottom - one.bottom
        step, off = (y, x) if along else (x, y)
        size = min(abs(one.top - one.bottom), abs(one.right - one.left)) + 1.0
        if abs(off) < 0.5 * size and abs(step) < 3 * size:
            forward += step > 0
            backward += step < 0
    return along if forward >= backward else along + 2


def _is_leftward(char: str) -> bool:
    """Whether a letter belongs to a script that is written from right to left."""
    return "\u0590" <= char <= "\u08ff" or "\ufb1d" <= char <= "\ufefc"


def _is_garbage(code: int) -> bool:
    return (
        code == 0
        or code == 0xFFFD
        or (0xE000 <= code <= 0xF8FF and code not in _SYMBOLS)
        or code >= 0xF0000
        or code < 32
        or 0x7F <= code < 0xA0
    )


def _is_vertical(chars: list[_Char]) -> bool:
    """Whether Chinese or Japanese characters follow each other downwards."""
    steps: Counter[str] = Counter()
    for one, two in itertools.pairwise(chars):
        if is_cjk(one.text[0]) and is_cjk(two.text[0]):
            size = max(one.top - one.bottom, 1.0)
            across, down = two.left - one.left, one.top - two.top
            if abs(across) < size * 0.3 and size * 0.5 < down < size * 2.5:
                steps["down"] += 1
            elif abs(down) < size * 0.3:
                steps["across"] += 1
    return steps["down"] > steps["across"] and steps["down"] >= 5


def _turned(left: float, bottom: float, right: float, top: float, quarter: int) -> tuple[float, float, float, float]:
    """x0, x1, top and bottom of a box in the frame of text that is turned by so many quarters."""
    if quarter == 0:
        return left, right, -top, -bottom
    if quarter == 1:
        return bottom, top, left, right
    if quarter == 2:
        return -right, -left, bottom, top
    return -top, -bottom, -right, -left


def _turned_rule(rule: Rule, quarter: int) -> Rule:
    if rule.across:
        box = _turned(rule.start, rule.at, rule.end, rule.at, quarter)
    else:
        box = _turned(rule.at, rule.start, rule.at, rule.end, quarter)
    x0, x1, top, bottom = box
    return Rule(True, top, x0, x1) if x1 - x0 >= bottom - top else Rule(False, x0, top, bottom)


def _runs(chars: list[_Char], quarter: int, rules: list[Rule], fonts: _Fonts) -> list[Run]:
    downs = sorted((rule.at, rule.start, rule.end) for rule in rules if not rule.across)
    places = [at for at, _, _ in downs]
    runs: list[Run] = []
    run: Run | None = None
    first = last = 0
    for char in chars:
        x0, x1, top, bottom = _turned(char.left, char.bottom, char.right, char.top, quarter)
        size = max(bottom - top, 0.1)
        if run is not None:
            leftward = _is_leftward(char.text[0]) and _is_leftward(run.text[-1])
            apart = run.x0 - x1 if leftward else x0 - run.x1
            level = abs((top + bottom) / 2 - run.middle) < 0.5 * max(size, run.size)
            joined = level and -0.6 * size < apart < _SPLIT * size
            if (
                joined
                and apart > 0.05 * size
                and not leftward
                and _ruled(places, downs, run.x1, x0, (top + bottom) / 2)
            ):
                joined = False
            if joined and char.ends and apart < -0.2 * size:
                joined = False
            if joined:
                chinese = is_cjk(run.text[-1]) and is_cjk(char.text[0])
                if char.spaced or (apart > 0.6 * size if chinese else char.gap or apart > _WORD * size):
                    run.text += " "
                run.text += char.text
                run.x0, run.x1 = min(run.x0, x0), max(run.x1, x1)
                last = char.index
                run.top, run.bottom = (top, bottom) if size > run.size else (run.top, run.bottom)
                continue
        if run is not None:
            run.bold = fonts.all_bold(first, last)
        run = Run(char.text, x0, x1, top, bottom, points=fonts.points(char.index) or size)
        first = last = char.index
        runs.append(run)
    if run is not None:
        run.bold = fonts.all_bold(first, last)
    return runs


def _ruled(places: list[float], downs: list[tuple[float, float, float]], left: float, right: float, y: float) -> bool:
    """Whether a line is drawn down between two characters."""
    at = bisect.bisect_left(places, left - 1.0)
    while at < len(places) and places[at] <= right + 1.0:
        if downs[at][1] <= y <= downs[at][2]:
            return True
        at += 1
    return False


def _objects(page: Any) -> tuple[int, list[Rule]]:
    """How many pictures a page shows, and the thin shapes on it as rules, in the page's own coordinates."""
    import pypdfium2.raw as pdfium

    pictures = 0
    rules: list[Rule] = []
    for thing in page.get_objects(max_depth=3):
        if thing.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            pictures += 1
        elif thing.type == pdfium.FPDF_PAGEOBJ_PATH and len(rules) < 6000:
            try:
                left, bottom, right, top = thing.get_bounds()
            except pdfium_error():
                continue
            wide, high = right - left, top - bottom
            if high <= 2.5 and wide >= 8:
                rules.append(Rule(True, (top + bottom) / 2, left, right))
            elif wide <= 2.5 and high >= 5:
                rules.append(Rule(False, (left + right) / 2, bottom, top))
            elif wide >= 8 and high >= 5 and pdfium.FPDFPath_CountSegments(thing.raw) in (4, 5):
                rules += [Rule(True, bottom, left, right), Rule(True, top, left, right)]
                rules += [Rule(False, left, bottom, top), Rule(False, right, bottom, top)]
    return pictures, rules


def pdfium_error() -> type[Exception]:
    """The exception of the PDF library, which is imported where it is needed only."""
    import pypdfium2

    error: type[Exception] = pypdfium2.PdfiumError
    return error
