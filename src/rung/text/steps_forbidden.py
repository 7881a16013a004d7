"""The step that keeps forbidden words out of answers, however they are written: width, case, script, gaps and invisible marks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from rung.core.errors import UsageError
from rung.core.model import Failure
from rung.core.steps import Changed
from rung.text.script import is_cjk
from rung.text.variants import to_simplified

SECONDS = 0.25
"""Longest search for one pattern: a pattern of somebody's own can take for ever on an unlucky text."""
_MASK = "*"
_JOINTS = frozenset("-_.·•*~|/\\")
"""Marks that people put between the letters of a word to hide it."""


def forbid(
    text: str,
    terms: Sequence[str] = (),
    patterns: Sequence[str] = (),
    action: Literal["refuse", "mask"] = "refuse",
) -> str | Changed | Failure:
    """Refuse a text that holds one of the terms or patterns, or star them out.

    A term is found whatever its case, width and Chinese script, with invisible characters in it, and, Chinese, with spaces or
    marks between its characters; a word of letters only as a whole word, so that 'ass' is not found in 'class'. A pattern is a
    regular expression over the text as it is; one that takes longer than `SECONDS` is a Failure of kind 'timeout'. The
    Failure of a refusal is of kind 'content_filter' and names the term by its place in the list, so that logs do not repeat it.
    """
    try:
        found = sorted({*_terms(text, tuple(terms)), *_patterns(text, tuple(patterns))}, key=lambda hit: hit.start)
    except TimeoutError:
        return Failure("timeout", f"forbidden: no end after {SECONDS:g} s")
    if not found:
        return text
    names = ", ".join(dict.fromkeys(hit.name for hit in found))
    if action == "refuse":
        return Failure("content_filter", f"forbidden: refused, {names}")
    out = list(text)
    for hit in found:
        out[hit.start : hit.end] = [char if char.isspace() else _MASK for char in text[hit.start : hit.end]]
    return Changed("".join(out), f"masked, {names}")


@dataclass(frozen=True, slots=True)
class _Hit:
    start: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class _Folded:
    """A text in the one form in which terms are compared, and the place in the text of each of its characters."""

    text: str
    places: tuple[int, ...]


def _folded(text: str, *, closed: bool) -> _Folded:
    """`closed`: without white space and joints beside a Chinese character."""
    chars: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        for part in _simple(char):
            if part != " " or chars[-1:] != [" "]:
                chars.append(part)
                places.append(place)
    if not closed:
        return _Folded("".join(chars), tuple(places))
    kept = [n for n, char in enumerate(chars) if not (_gap(char) and _beside_cjk(chars, n))]
    return _Folded("".join(chars[n] for n in kept), tuple(places[n] for n in kept))


def _gap(char: str) -> bool:
    return char == " " or char in _JOINTS


def _beside_cjk(chars: Sequence[str], n: int) -> bool:
    """Whether the run of gaps that a place lies in stands between two characters, one of them Chinese."""
    left, right = n, n
    while left >= 0 and _gap(chars[left]):
        left -= 1
    while right < len(chars) and _gap(chars[right]):
        right += 1
    return left >= 0 and right < len(chars) and (is_cjk(chars[left]) or is_cjk(chars[right]))


@lru_cache(maxsize=1 << 15)
def _simple(char: str) -> str:
    """What a character is compared as: half width, small, simplified, without accents; nothing for one that does not show."""
    if is_cjk(char):
        return unicodedata.normalize("NFKC", to_simplified(char)).casefold()
    plain = unicodedata.normalize("NFKD", char).casefold()
    shown = [" " if part.isspace() else part for part in plain if unicodedata.category(part) not in {"Cf", "Mn"}]
    return "".join(shown)


def _terms(text: str, terms: tuple[str, ...]) -> Iterator[_Hit]:
    if not terms:
        return
    forms = {closed: _folded(text, closed=closed) for closed in (False, True)}
    for number, (wanted, closed) in enumerate(_wanted(terms), 1):
        folded = forms[closed]
        start = folded.text.find(wanted)
        while start >= 0:
            end = start + len(wanted)
            if _whole(folded.text, start, end):
                yield _Hit(folded.places[start], folded.places[end - 1] + 1, f"term {number}")
            start = folded.text.find(wanted, start + 1)


@lru_cache(maxsize=32)
def _wanted(terms: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Every term folded, and whether gaps in it are passed over."""
    found = []
    for term in terms:
        closed = any(is_cjk(char) for char in term)
        found.append((_folded(term.strip(), closed=closed).text, closed))
    return tuple((wanted, closed) for wanted, closed in found if wanted)


def _whole(text: str, start: int, end: int) -> bool:
    """Whether a hit does not go on in a word of letters; beside Chinese there are no words to go on."""

    def joined(one: str, other: str) -> bool:
        return all(char.isalnum() and not is_cjk(char) for char in (one, other))

    before = start > 0 and joined(text[start - 1], text[start])
    after = end < len(text) and joined(text[end - 1], text[end])
    return not before and not after


def _patterns(text: str, patterns: tuple[str, ...]) -> Iterator[_Hit]:
    """Raises TimeoutError for one that takes too long, UsageError E7100 for one that is none."""
    for number, pattern in enumerate(patterns, 1):
        for match in compiled(pattern).finditer(text, timeout=SECONDS):
            if match.end() > match.start():
                yield _Hit(match.start(), match.end(), f"pattern {number}")


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """A pattern ready to search. Raises UsageError E7100 for one that is none."""
    import regex

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise UsageError("E7100", pattern=pattern, reason=str(error)) from error
