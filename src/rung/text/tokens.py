"""Texts cut into pieces: words and characters for metrics, search terms for BM25."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rung.core.task import Language
from rung.text.normalise import even_numbers, fold, normalise_answer, strip_punctuation
from rung.text.script import CJK

_PIECE = re.compile(rf"[{CJK}]|[^\s{CJK}]+")
_LETTER = rf"[^\W_{CJK}]"
_RUN = re.compile(rf"(?P<cjk>[{CJK}]+)|{_LETTER}+(?:[-_./:&+]{_LETTER}+)*")
_JOINT = re.compile(r"[-_./:&+]")
_DECIMAL = re.compile(r"\d+(?:\.\d+)+")
_APOSTROPHE = re.compile(r"(?<=[a-z0-9])['\u2019](?:s\b|(?=[a-z]))")


def tokens(text: str, language: Language) -> list[str]:
    """What overlap is counted in: words, and single characters of Chinese, normalised as `normalise_answer` does.

    English pieces are those of SQuAD's F1. In a Chinese text, marks and spaces separate Latin words, which stay whole.
    """
    if language == "en":
        return _PIECE.findall(normalise_answer(text, "en"))
    folded = fold(text)
    return _PIECE.findall(strip_punctuation(folded, " ")) or _PIECE.findall(folded)


def search_tokens(text: str) -> list[str]:
    """Terms for BM25, the same for documents and questions, in either language.

    Latin words are folded to lower case and to a common form of singular and plural, and no further: endings such as
    -ing or -ed tell "booking" from "book", and meaning is the dense retriever's part. A code such as "D-4" yields
    "d-4", "d4", "d" and "4", so that it is found however it is typed, and best when typed in full; a decimal number
    stays whole.

    CJK runs yield every character and every overlapping pair. Pairs need no dictionary, so no new name or term is
    ever cut wrongly, and most Chinese words have two characters; single characters find the words that have one, and
    the words that question and document abbreviate differently. BM25 weighs the common ones down by itself.
    """
    return list(_search_tokens(even_numbers(fold(text))))


def _search_tokens(folded: str) -> Iterator[str]:
    for run in _RUN.finditer(_APOSTROPHE.sub("", folded)):
        whole = run.group()
        if run["cjk"]:
            yield from whole
            yield from (whole[n : n + 2] for n in range(len(whole) - 1))
        elif _DECIMAL.fullmatch(whole):
            yield whole
        else:
            pieces = _JOINT.split(whole)
            if len(pieces) > 1:
                yield whole
                joined = "".join(pieces)
                if not joined.isalpha() and not joined.isdigit():
                    yield joined
            yield from map(_singular, pieces)


def _singular(word: str) -> str:
    """One form for singular and plural, after the S-stemmer (Harman 1991, "How effective is suffixing?").

    Unlike it, the ending that is left is folded too, so that "box" meets "boxes", and "movie" meets "movies" as well as
    "policy" meets "policies". The form need not be a word.
    """
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if len(word) > 4 and word.endswith("ie"):
        return word[:-2] + "y"
    return word[:-1] if word.endswith(("che", "she", "xe", "sse", "zze")) else word
