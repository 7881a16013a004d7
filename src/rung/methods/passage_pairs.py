"""Pairs for a retriever's encoder: questions and the passages that answer them, with passages that only look right.

Where too few questions say which passage answers them, the documents make pairs of themselves: a heading and its passage, and a
sentence and the passage that it was taken out of (the inverse cloze task: Lee et al. 2019, arXiv 1906.00300, section 4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rung.core.answer import Item, Retriever
from rung.core.hashing import seed_from
from rung.core.task import Example, FitData
from rung.text.normalise import normalise_answer
from rung.text.sentences import Span, sentences
from rung.text.tokens import search_tokens
from rung.training.pairs import DevSet, Negative, Pair, Query

DEPTH = 50
"""Passages of each question that are looked through."""
ENOUGH = 32
"""Questions with a known passage from which the documents' own pairs are left out."""
_NEAR = 20
"""Where no document is named, an answer's words count only in so many of the best passages: further down they are chance."""
_MANY_DOCUMENTS = 8
"""From here on a whole document is kept from being held against its own questions; below, only passages with the answer are."""
OWN_PAIRS = 1000
"""Pairs that documents make of themselves, at most."""
_SHORTEST = 6
"""Search terms of a sentence that says enough to be looked for."""
_DEV_QUESTIONS = 100
_DEV_TEXTS = 400
_FEWEST_DEV = 8


@dataclass(frozen=True)
class Mined:
    """What an encoder is tuned on, and how it came about."""

    pairs: list[Pair]
    dev: DevSet
    note: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Known:
    """A question with the passages that answer it, best first, and the others that the index thinks of, best first."""

    example: Example
    right: list[Item]
    wrong: list[Item]
    by_rank: bool = False
    """The answer's words are in no passage of its document; the best passage stands for it."""


def passage_pairs(fit: FitData, items: Sequence[Item], index: Retriever, *, hard: int) -> Mined:
    """Pairs of the training questions, or of the documents themselves, with `hard` negatives from the index each.

    `items`: the passages that the index holds.
    """
    family = _family_of(items)
    train, dev = _known(fit, fit.train, items, index), _known(fit, fit.dev, items, index)
    pairs = [_pair(known, family, hard) for known in train]
    note = {
        "questions": len(pairs),
        "without_passage": len(_asking(fit, fit.train)) - len(pairs),
        "by_rank": sum(known.by_rank for known in train),
        "documents": 0,
    }
    own = _own_pairs(fit, items, index, family, hard) if len(pairs) < ENOUGH or len(dev) < _FEWEST_DEV else []
    kept, held = own[len(own) // 10 :], own[: len(own) // 10]
    if len(pairs) < ENOUGH:
        note["documents"] = len(kept)
        pairs += kept
    found = _dev_set(fit, dev, items, family) if len(dev) >= _FEWEST_DEV else _own_dev(held)
    return Mined(pairs, found, note)


def _asking(fit: FitData, examples: Sequence[Example]) -> list[Example]:
    """Questions that the documents answer."""
    abstain = fit.task.output.abstain
    return [e for e in examples if e.references and e.references[0] != abstain and e.asked.strip()]


def _known(fit: FitData, examples: Sequence[Example], items: Sequence[Item], index: Retriever) -> list[_Known]:
    by_document: dict[str, list[Item]] = {}
    for item in items:
        by_document.setdefault(item.payload["document"], []).append(item)
    said = {item.id: _said(fit, item.text) for item in items}
    asked = _asking(fit, examples)
    own = [[item for name in e.documents for item in by_document.get(name, [])] for e in asked]
    found: list[_Known] = []
    restated: list[int] = []
    for example, gold, hits in zip(asked, own, index.search([e.asked for e in asked], DEPTH), strict=True):
        ranked = [hit.item for hit in hits]
        place = {item.id: n for n, item in enumerate(ranked)}
        answers = _telling(fit, example)
        holding = {item.id for item in (*gold, *ranked) if any(answer in said[item.id] for answer in answers)}
        right = [item for item in gold or ranked[:_NEAR] if item.id in holding]
        right.sort(key=lambda item: place.get(item.id, len(items)))
        if gold and not right:
            restated.append(len(found))
        found.append(_Known(example, right, [item for item in ranked if item.id not in holding]))
    # The answer in other words: the passage of its document that question and answer together find first.
    queries = [f"{found[n].example.asked}\n{found[n].example.references[0]}" for n in restated]
    for n, hits in zip(restated, index.search(queries, DEPTH), strict=True):
        best = [hit.item for hit in hits if hit.item.payload["document"] in found[n].example.documents]
        found[n] = replace(found[n], right=best[:1], by_rank=True)
    return [known for known in found if known.right]


def _said(fit: FitData, text: str) -> str:
    """A text in the form in which answers are looked for: English ones between spaces, so that no part of a word is taken for one."""
    language = fit.task.language
    plain = normalise_answer(text, language)
    return f" {plain} " if language == "en" else plain


def _telling(fit: FitData, example: Example) -> list[str]:
    """The answers that say something where they stand: one of a letter or two could stand anywhere."""
    shortest = 3 if fit.task.language == "en" else 2
    said = [_said(fit, text) for text in example.references]
    return [text for text in said if len(text.strip()) >= shortest and text.strip() not in {"yes", "no"}]


def _family_of(items: Sequence[Item]) -> Callable[[Item], str]:
    """What must not be held against a question on a passage: its whole document, where there are documents enough."""
    many = len({item.payload["document"] for item in items}) >= _MANY_DOCUMENTS
    return lambda item: f"document:{item.payload['document']}" if many else f"passage:{item.id}"


def _pair(known: _Known, family: Callable[[Item], str], hard: int) -> Pair:
    example = known.example
    families = dict.fromkeys(family(item) for item in known.right)
    negatives = [Negative(item.text, (family(item),)) for item in known.wrong if family(item) not in families]
    group = [f"group:{example.group}"] if example.group else []
    return Pair(example.id, example.asked, known.right[0].text, tuple(negatives[:hard]), (*families, *group))


def _dev_set(fit: FitData, dev: Sequence[_Known], items: Sequence[Item], family: Callable[[Item], str]) -> DevSet:
    """Dev questions, their passages, what the index takes for them, and other passages up to a bound."""
    order = np.random.default_rng(seed_from(fit.seed, "dev passages")).permutation(len(items))
    chosen = [dev[i] for i in np.random.default_rng(seed_from(fit.seed, "dev")).permutation(len(dev))[:_DEV_QUESTIONS]]
    texts = {item.id: item.text for known in chosen for item in known.right}
    room = max(_DEV_TEXTS, len(texts))
    near = [item for place in range(DEPTH) for known in chosen for item in known.wrong[place : place + 1]]
    for item in (*near, *(items[i] for i in order)):
        if len(texts) >= room:
            break
        texts.setdefault(item.id, item.text)
    queries = [Query(known.example.asked, tuple(item.id for item in known.right)) for known in chosen]
    return DevSet(tuple(queries), tuple(texts.items()), tuple(_pair(known, family, 1) for known in chosen))


def _own_pairs(
    fit: FitData, items: Sequence[Item], index: Retriever, family: Callable[[Item], str], hard: int
) -> list[Pair]:
    """Headings and their passages, sentences and the passages without them; in a seeded order, up to a bound."""
    made: list[tuple[Item, str, str]] = []
    for item in items:
        length = item.payload["end"] - item.payload["start"]
        above, body = item.text[: len(item.text) - length].strip(), item.text[len(item.text) - length :]
        spans = sentences(body)
        if above and body.strip():
            made.append((item, above, body))
        if len(spans) > 1:
            made += [
                (item, span.of(body), _without(item.text, body, span))
                for span in spans
                if len(search_tokens(span.of(body))) >= _SHORTEST
            ]
    order = np.random.default_rng(seed_from(fit.seed, "own pairs")).permutation(len(made))[:OWN_PAIRS]
    chosen = [made[i] for i in order]
    found = index.search([anchor for _, anchor, _ in chosen], DEPTH if hard else 0)
    pairs = []
    for n, ((item, anchor, positive), hits) in enumerate(zip(chosen, found, strict=True)):
        wrong = [hit.item for hit in hits if family(hit.item) != family(item) and anchor not in hit.item.text]
        negatives = tuple(Negative(other.text, (family(other),)) for other in wrong[:hard])
        pairs.append(Pair(f"{item.id}/{n}", anchor, positive, negatives, (family(item),)))
    return pairs


def _without(text: str, body: str, span: Span) -> str:
    above = text[: len(text) - len(body)]
    return above + (body[: span.start].rstrip() + " " + body[span.end :].lstrip()).strip()


def _own_dev(pairs: Sequence[Pair]) -> DevSet:
    """Pairs of the documents that were held back: each anchor is to find its own passage among theirs."""
    names = {text: str(n) for n, text in enumerate(dict.fromkeys(pair.positive for pair in pairs))}
    queries = tuple(Query(pair.anchor, (names[pair.positive],)) for pair in pairs)
    return DevSet(queries, tuple((name, text) for text, name in names.items()), tuple(pairs))
