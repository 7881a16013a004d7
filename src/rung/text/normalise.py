"""One form for texts that mean the same: answers, labels, and keys for finding duplicates."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rung.core.task import Language

_SPACE = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# A mark between two digits, or a minus sign: without it the number would be another one.
_IN_NUMBER = re.compile(r"((?<=\d)[^\w\s](?=\d)|(?<![a-z0-9_])-(?=\d))")
# NFKC would write 2½ as 21⁄2 and 10² as 102.
_AFTER_DIGIT = re.compile(r"(?<=\d)(?=[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2089\u2150-\u215f\u2189\u2460-\u249b])")
_ONE_SIGN = str.maketrans({"\u2044": "/"} | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"))
_ASCII_MARKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class _Replacing(dict[int, int | str]):
    """A table for str.translate that works out a character's replacement the first time it is met."""

    def __init__(self, replacement: str, categories: tuple[str, ...], also: frozenset[str] = frozenset()) -> None:
        self._replacement, self._categories, self._also = replacement, categories, also

    def __missing__(self, code: int) -> int | str:
        char = chr(code)
        hit = char in self._also or unicodedata.category(char) in self._categories
        self[code] = self._replacement if hit else code
        return self[code]


_PUNCTUATION = ("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po")
_NO_FORMAT = _Replacing("", ("Cf",))
_NO_MARKS = {gap: _Replacing(gap, _PUNCTUATION, _ASCII_MARKS) for gap in ("", " ")}
_NO_PUNCTUATION = _Replacing("", _PUNCTUATION)


def fold(text: str) -> str:
    """NFKC and casefold, without invisible format characters (zero-width spaces, byte order marks, soft hyphens)."""
    if text.isascii():
        return text.lower()
    # Folding case can undo NFKC, so it is applied on both sides.
    folded = unicodedata.normalize("NFKC", _AFTER_DIGIT.sub(" ", text))
    folded = unicodedata.normalize("NFKC", folded.casefold())
    return folded.translate(_NO_FORMAT)


def even_numbers(folded: str) -> str:
    """Numbers written one way: no comma between thousands, one kind of dash and of fraction line."""
    return _THOUSANDS.sub("", folded.translate(_ONE_SIGN))


def _strip(folded: str, table: dict[int, int | str]) -> str:
    pieces = _IN_NUMBER.split(even_numbers(folded))
    return "".join(piece if n % 2 else piece.translate(table) for n, piece in enumerate(pieces))


def strip_punctuation(folded: str, gap: str = "") -> str:
    """A folded text without punctuation or other ASCII marks, which `gap` ('' or ' ') replaces.

    A mark between two digits and a minus sign stay: "7.50" is not "750", "2-5" is not "25", "-3" is not "3".
    """
    return _strip(folded, _NO_MARKS[gap])


def normalise_answer(text: str, language: Language) -> str:
    """The form in which an answer is compared with a reference: '' only for a blank text.

    English: lower case, no punctuation, no article (a, an, the), single spaces, as in the evaluation of SQuAD
    (Rajpurkar et al. 2016, section 6.1), except that numbers keep their marks. Chinese: no punctuation and no white
    space. Where nothing would be left (the answer "A", the answer "?"), the step that took the rest is undone, so
    that such answers differ.
    """
    folded = fold(text)
    bare = strip_punctuation(folded)
    tidy = _close_up(bare) if language == "zh" else squeeze(_ARTICLES.sub(" ", bare))
    return tidy or squeeze(bare) or squeeze(folded)


def normalise_label(text: str) -> str:
    """The form in which labels are compared: full width as half width, no case, single spaces."""
    return squeeze(fold(text))


def normalise_key(text: str) -> str:
    """The form in which duplicates are found: no case, punctuation or white space. Symbols and numbers' marks stay."""
    folded = fold(text)
    return _close_up(_strip(folded, _NO_PUNCTUATION)) or squeeze(folded)


def _close_up(text: str) -> str:
    """No white space, except between two digits: "2 1/2" is not "21/2"."""
    return _SPACE.sub("", squeeze(text))


def squeeze(text: str) -> str:
    """No white space at the ends, single spaces within."""
    return " ".join(text.split())
