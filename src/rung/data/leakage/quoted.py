"""Questions and answers that stand word for word in documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.core.task import Document, Example
from rung.data.leakage.keys import key_of

SHORTEST = 6
"""Characters of a key below which a text stands in many documents by chance, and is not looked for."""
LONG_ANSWER = 12
"""Characters of a key from which an answer that stands in a document is worth a word."""
_NEARBY = 400
"""Characters of a document's key around a question in which its answer is looked for."""
_WIDTHS = (48, 24, 12, SHORTEST)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Quote:
    """A text, by its place in the list looked for, and where it stands first in a document."""

    text: int
    document: str
    at: int
    """Characters from the beginning of the document's key."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """A question that stands in a document."""

    id: str
    document: str
    answered: bool
    """Whether one of its answers stands within 400 characters of it."""


def find_quotes(keys: Sequence[str], documents: Mapping[str, str]) -> list[Quote]:
    """Every place where one of `keys` stands in one of `documents` (keys of texts, by id), the first in each document.

    Keys of fewer than 6 characters are not looked for. A text is found by a hash of its beginning, of 48 characters or as
    many of 24, 12 and 6 as it has, rolled over the documents (Karp and Rabin 1987, "Efficient randomized pattern-matching
    algorithms"), and then compared in full: time grows with the length of the documents, hardly with the number of keys.
    """
    by_width: dict[int, list[int]] = defaultdict(list)
    for number, key in enumerate(keys):
        width = next((w for w in _WIDTHS if w <= len(key)), None)
        if width is not None:
            by_width[width].append(number)
    wanted: dict[int, tuple[NDArray[np.uint64], dict[int, list[int]]]] = {}
    for width, numbers in by_width.items():
        hashes: dict[int, list[int]] = defaultdict(list)
        for number in numbers:
            hashes[int(_rolled(keys[number][:width], width)[0])].append(number)
        wanted[width] = (np.sort(np.array(list(hashes), np.uint64)), hashes)
    found: list[Quote] = []
    for id, text in documents.items():
        seen: set[int] = set()
        for width, (hashes_wanted, numbers_of) in wanted.items():
            rolled = _rolled(text, width)
            place = np.searchsorted(hashes_wanted, rolled).clip(max=len(hashes_wanted) - 1)
            for at in np.flatnonzero(hashes_wanted[place] == rolled).tolist():
                for number in numbers_of[int(rolled[at])]:
                    if number not in seen and text.startswith(keys[number], at):
                        seen.add(number)
                        found.append(Quote(number, id, at))
    return sorted(found, key=lambda quote: (quote.text, quote.document))


def _rolled(text: str, width: int) -> NDArray[np.uint64]:
    """A hash of every `width` characters of a text, by where they begin; built from halves, in log(width) passes."""
    hashed = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64) * _MIX
    covered = 1
    while covered < width:
        step = min(covered, width - covered)
        if len(hashed) <= step:
            return np.empty(0, np.uint64)
        hashed = (hashed[:-step] ^ hashed[:-step] >> np.uint64(29)) * _MIX + hashed[step:]
        covered += step
    return hashed


def questions_in(examples: Sequence[Example], documents: Sequence[Document]) -> list[Quoted]:
    """Questions that stand in documents, and whether their answer stands beside them: a leak, for then the document is an
    answer sheet and no source. Each question once, with the document that answers it where one does."""
    texts = {document.id: key_of(document.text) for document in documents}
    found: dict[str, Quoted] = {}
    for quote in find_quotes([key_of(example.text) for example in examples], texts):
        example, text = examples[quote.text], texts[quote.document]
        end = quote.at + len(key_of(example.text))
        around = text[max(0, quote.at - _NEARBY) : quote.at] + "\n" + text[end : end + _NEARBY]
        answered = any(key and key in around for key in map(key_of, example.references))
        if example.id not in found or (answered and not found[example.id].answered):
            found[example.id] = Quoted(example.id, quote.document, answered)
    return list(found.values())


def answers_in(examples: Sequence[Example], documents: Sequence[Document]) -> tuple[str, ...]:
    """Ids of examples with an answer of at least 12 characters that stands in a document: normal where documents are to be
    quoted, and good to know where an answer is to be written."""
    owners = [(example.id, key) for example in examples for key in map(key_of, example.references)]
    long = [(id, key) for id, key in owners if len(key) >= LONG_ANSWER]
    texts = {document.id: key_of(document.text) for document in documents}
    quotes = find_quotes([key for _, key in long], texts)
    return tuple(dict.fromkeys(long[quote.text][0] for quote in quotes))
