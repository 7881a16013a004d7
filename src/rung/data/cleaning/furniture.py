"""Page furniture: running heads, feet and page numbers, known by standing at the edge of many pages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

_EDGE = 3
"""Lines with text, from the top and from the bottom of a page, that may be furniture."""
_FEWEST = 3
"""Pages that a line must stand on ..."""
_SHARE = 0.3
"""... and their share of all: left and right pages often differ."""
_LONGEST = 150
_STEADY = 0.8
_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"(?:page|pg|p|seite|of|第|页|頁|共|总|總|[\W_])*", re.IGNORECASE)
_TABLE = re.compile(r"\s*\|")
_HEADING = re.compile(r"\s*#{1,6}\s")
_LETTER = re.compile(r"[^\W\d_]")

Place = tuple[int, int]
"""A line: number of its page, number of the line on it."""


def find_furniture(pages: Sequence[Sequence[str]]) -> frozenset[Place]:
    """The lines that are furniture.

    A line counts by its text with numbers masked. Where its numbers differ they must count the pages (17, 18, 19), and
    stand alone or beside words for a page, or in a line of several words: "Step 3" on slide 3 is no furniture. Rows of
    tables never are; of a heading the first one stays.
    """
    standing: dict[tuple[str, bool], list[Place]] = defaultdict(list)
    for page, lines in enumerate(pages):
        filled = [n for n, line in enumerate(lines) if line.strip()]
        # A page of few lines has no edges: all of it would be one.
        edge = min(_EDGE, max(1, len(filled) // 3)) if len(filled) > 1 else 0
        for n in {*filled[:edge], *filled[len(filled) - edge :]} if edge else ():
            line = lines[n].strip()
            if len(line) <= _LONGEST and not _TABLE.match(line):
                standing[masked(line), n in filled[:edge]].append((page, n))
    needed = max(_FEWEST, _SHARE * len(pages))
    found: set[Place] = set()
    for (form, _), places in standing.items():
        if len({page for page, _ in places}) < needed or not _is_furniture(form, places, pages):
            continue
        found.update(places[1:] if _HEADING.match(form) else places)
    return frozenset(found)


def masked(line: str) -> str:
    """A line with its numbers as #."""
    return _NUMBER.sub("#", " ".join(line.split()))


def _is_furniture(form: str, places: Sequence[Place], pages: Sequence[Sequence[str]]) -> bool:
    numbers = [_NUMBER.findall(pages[page][n]) for page, n in places]
    says_page = "#" in form and _PAGE_NUMBER.fullmatch(form) is not None
    if all(found == numbers[0] for found in numbers):
        return says_page or bool(_LETTER.search(form))
    if not says_page and len(form.split()) < 3 and len(_LETTER.findall(form)) < 6:
        return False
    return any(_counts([found[k] for found in numbers], places) for k in range(len(numbers[0])))


def _counts(numbers: Sequence[str], places: Sequence[Place]) -> bool:
    """Whether a number grows with the pages, but for a few misprints."""
    ahead = [
        int(n) - page if n.isdecimal() and len(n) < 7 else None for n, (page, _) in zip(numbers, places, strict=True)
    ]
    usual = max(set(ahead), key=ahead.count)
    return usual is not None and ahead.count(usual) >= _STEADY * len(ahead)
