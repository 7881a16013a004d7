"""What a question needs: the documents and the passages of an index that hold its answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rung.core.answer import Item
from rung.core.task import Example, Task
from rung.store.knowledge import Basis
from rung.text.tokens import search_tokens

LEAST = 4
"""Letters of an answer that is looked for in all passages; shorter ones stand everywhere. A Chinese character counts as two."""
MOST = 5
"""Documents that may hold such an answer; one that more hold says nothing about where it comes from."""


@dataclass
class Gold:
    """By question: its documents, and the passages that hold the answer word for word."""

    basis: Basis
    documents: dict[str, frozenset[str]] = field(default_factory=dict)
    passages: dict[str, frozenset[str]] = field(default_factory=dict)
    by_document: dict[str, list[Item]] = field(default_factory=dict)
    """All passages of the documents that a question needs, in the order of the index."""


def gold_of(task: Task, examples: Sequence[Example], items: Iterable[Item]) -> Gold | None:
    """What each question needs; None where nothing tells: no example names a document, and no passage quotes an answer.

    Where any example names its documents, those that name none are left out. A label is no quotation.
    """
    abstain = task.output.abstain
    asked = [example for example in examples if abstain is None or abstain not in example.references]
    marked = {example.id: frozenset(example.documents) for example in asked if example.documents}
    if marked:
        return _marked(asked, marked, items)
    return None if task.output.kind == "label" else _quoted(asked, items)


def _marked(examples: Sequence[Example], marked: Mapping[str, frozenset[str]], items: Iterable[Item]) -> Gold:
    gold = Gold("marked", dict(marked))
    wanted = frozenset().union(*marked.values())
    for item in items:
        if item.payload["document"] in wanted:
            gold.by_document.setdefault(item.payload["document"], []).append(item)
    for example in examples:
        pool = [item for name in example.documents for item in gold.by_document.get(name, ())]
        holding = {item.id for item in pool if any(holds(item.text, said) for said in example.references)}
        if holding:
            gold.passages[example.id] = frozenset(holding)
    return gold


def _quoted(examples: Sequence[Example], items: Iterable[Item]) -> Gold | None:
    """Every passage is looked at once: an answer is tried where the passage has its longest word."""
    by_word: dict[str, list[tuple[str, str]]] = {}
    for example in examples:
        for said in example.references:
            words = search_tokens(said)
            if words and _letters(said) >= LEAST:
                by_word.setdefault(max(words, key=len), []).append((example.id, said))
    found: dict[str, list[Item]] = {}
    for item in items:
        for word in by_word.keys() & set(search_tokens(item.text)):
            for id, said in by_word[word]:
                if holds(item.text, said):
                    found.setdefault(id, []).append(item)
    gold = Gold("quoted")
    for id, held in found.items():
        documents = frozenset(item.payload["document"] for item in held)
        if len(documents) <= MOST:
            gold.documents[id] = documents
            gold.passages[id] = frozenset(item.id for item in held)
            for item in held:
                of_document = gold.by_document.setdefault(item.payload["document"], [])
                if item not in of_document:
                    of_document.append(item)
    return gold if gold.documents else None


def holds(text: str, said: str) -> bool:
    """Whether a text says something word for word, whatever the case, white space and the full stop at its end."""
    wanted, whole = _plain(said).rstrip(".。"), _plain(text)
    if not wanted:
        return False
    # "14" is not said by "2014".
    before = r"(?<![^\W_])" if wanted[0].isascii() and wanted[0].isalnum() else ""
    after = r"(?![^\W_])" if wanted[-1].isascii() and wanted[-1].isalnum() else ""
    if before or after:
        return re.search(before + re.escape(wanted) + after, whole, re.ASCII) is not None
    return wanted in whole


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _letters(text: str) -> int:
    return sum(1 if char.isascii() else 2 for char in text if char.isalnum())
