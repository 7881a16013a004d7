"""The step that keeps an answer to a length: cut behind the last sentence that fits, never inside a word."""

from __future__ import annotations

import re

from rung.core.model import Failure
from rung.core.steps import Changed
from rung.text.script import CJK
from rung.text.sentences import sentences

_WORD = re.compile(rf"[{CJK}]|[^\s{CJK}]+")
_MORE = "…"


def limit_length(text: str, words: int = 0, characters: int = 0) -> str | Changed | Failure:
    """At most so many words (a Chinese character counts as one) and characters; 0: no such limit.

    The cut is made behind the last whole sentence that fits. Where not even the first one does, it is made behind a word, and
    the text ends in '…', which the limit of characters counts.
    """
    end = min(_end_of_words(text, words), characters or len(text))
    if end >= len(text.rstrip()):
        return text
    whole = [span.end for span in sentences(text) if span.end <= end]
    if whole:
        return Changed(text[: whole[-1]], f"cut at {whole[-1]} of {len(text)} characters")
    room = end - len(_MORE) if end == characters else end
    starts = [word.start() for word in _WORD.finditer(text) if word.start() <= room]
    ends = [word.end() for word in _WORD.finditer(text) if word.end() <= room]
    # One word longer than the limit is cut inside: there is no other place.
    kept = text[: ends[-1]] if ends else text[starts[0] if starts else 0 : max(room, 0)]
    return Changed(kept.rstrip() + _MORE, f"cut at {len(kept)} of {len(text)} characters")


def _end_of_words(text: str, words: int) -> int:
    if not words:
        return len(text)
    ends = [word.end() for word in _WORD.finditer(text)]
    return ends[words - 1] if len(ends) > words else len(text)
