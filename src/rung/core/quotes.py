"""Whether an answer's quotations stand in the passages that it goes back to, and whether its citations hold what is said."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from rung.core.task import Passage

_QUOTED = re.compile('\u201c([^\u201c\u201d]+)\u201d|"([^"\n]+)"|「([^「」]+)」|『([^『』]+)』|«([^«»]+)»')
_GAP = re.compile(r"\[?(?:\.{3,}|…+)\]?")
"""What stands for words that a quotation leaves out."""
_MARK = re.compile(r"\[(\d{1,3})\]")
_CJK = "\u3400-\u4dbf\u4e00-\u9fff"
_TERM = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_END = re.compile(r"(?<=[。！？!?])|(?<=\.)\s+|\n+")
_FEWEST = 2
"""Words, or twice as many Chinese characters, from which marked text is a quotation and not a name or a doubted word."""
_HELD = 0.6
"""Share of a sentence's words that a passage cited for it must hold."""


@dataclass(frozen=True, slots=True)
class QuoteCheck:
    quoted: int = 0
    """Quotations looked for."""
    unsupported_quotes: tuple[str, ...] = ()
    """Those that stand in none of the passages cited, or shown where none is cited."""
    unsupported_citations: tuple[str, ...] = ()
    """Ids of cited passages that do not hold what they are cited for."""


def check_quotes(
    text: str, passages: Sequence[Passage], citations: Sequence[str], *, question: str = "", copied: bool = False
) -> QuoteCheck:
    """`passages`: those shown, in the order of their numbers. `copied`: the whole answer is meant to be words of the passages.

    Case, width, spaces and punctuation do not count. Words that the question has in it are no quotation of a document.
    """
    cited = [passage for passage in passages if passage.id in citations]
    sources = [_form(passage.text) for passage in cited or passages]
    asked = _form(question)
    spans = [span for span in _quotations(text) if _form(span) not in asked]
    if copied and not spans and _form(_MARK.sub("", text)):
        spans = [_MARK.sub("", text).strip()]
    unsupported = tuple(span for span in spans if not any(_stands_in(span, source) for source in sources))
    wrong = tuple(passage.id for passage in cited if not _supports(text, passage, passages, spans))
    return QuoteCheck(len(spans), unsupported, wrong)


def _quotations(text: str) -> list[str]:
    """What stands in quotation marks of either language and is long enough to be a quotation."""
    found = (next(filter(None, match.groups())) for match in _QUOTED.finditer(text))
    return [span.strip() for span in found if _length(span) >= _FEWEST]


def _length(text: str) -> float:
    return sum(0.5 if re.match(f"[{_CJK}]", term) else 1.0 for term in _TERM.findall(text))


def _form(text: str) -> str:
    """Letters and digits alone, in one width and case; words of letters keep a space between them."""
    return " ".join(_TERM.findall(unicodedata.normalize("NFKC", text).casefold()))


def _stands_in(span: str, source: str) -> bool:
    padded = f" {source} "
    return all(f" {piece} " in padded for piece in map(_form, _GAP.split(span)) if piece)


def _supports(text: str, passage: Passage, passages: Sequence[Passage], spans: Sequence[str]) -> bool:
    """A passage holds what it is cited for: a quotation, or most words of a sentence that bears its number, or of the answer."""
    source = _form(passage.text)
    if any(_stands_in(span, source) for span in spans):
        return True
    number = next(n for n, shown in enumerate(passages, 1) if shown.id == passage.id)
    said = [part for part in _END.split(text) if str(number) in _MARK.findall(part)] or [text]
    held = set(source.split())
    return any(_share(_form(_MARK.sub("", part)).split(), held) >= _HELD for part in said)


def _share(words: Sequence[str], held: set[str]) -> float:
    """Of the words, those that are held; a sentence of nothing but its mark says nothing wrong."""
    return sum(word in held for word in words) / len(words) if words else 1.0
