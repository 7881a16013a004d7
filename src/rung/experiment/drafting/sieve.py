"""Filters for drafted pairs, each with a name under which what it refuses is counted."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rung.core.answer import Item
from rung.core.task import Language
from rung.data.leakage.keys import key_of
from rung.data.leakage.near import NEAR, Search, find_near
from rung.experiment.drafting.parse import Pair
from rung.experiment.drafting.prompts import common_terms, prompt_text
from rung.text.script import is_cjk, language_of
from rung.text.tokens import search_tokens, tokens

REASONS = (
    "unparsable",
    "empty",
    "cut_off",
    "repeated",
    "echo",
    "length",
    "language",
    "not_a_question",
    "refers_to_text",
    "gives_away",
    "off_topic",
    "ungrounded",
    "round_trip_failed",
    "round_trip",
    "copy",
)
"""In the order in which they are looked at; a pair is counted under the first that refuses it."""
GROUNDED = 0.8
"""Share of an answer's tokens that the passage must hold, where it is no span of it."""
ON_TOPIC = 0.2
"""Share of a question's terms that the passage must hold."""
NEAR_QUESTION = 0.7
"""Jaccard similarity of shingles from which a question with the same answer is a copy; where the answer is not known, `NEAR`.
"How much is the garage fee?" and "How much is the storage fee?" are near, and two questions."""
SAME_ANSWER = 0.5
"""F1 of tokens from which two answers count as the same."""
_QUESTION_WORDS = (3, 60)
_ANSWER_WORDS = (0.5, 60)
_REFERS = re.compile(
    r"\b(?:this|that|the above|the given|the following|the provided)\s+"
    r"(?:passage|text|document|article|paragraph|section|excerpt|context|table|page|guide|guidance|note)\b"
    r"|\bthe (?:passage|text|excerpt|paragraph|article|context|author)\b"
    r"|\b(?:mentioned|described|listed|given|shown|stated|written) (?:above|below|here|in the)\b|\baforementioned\b"
    r"|本文|上文|下文|文中|文章|该文|此文|这段|本段|该段|上述|段落|资料中|该资料|本资料|这份资料|这份文档|该文档|本文档|原文|上表|下表|表格中",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"[?？]\s*$"
    r"|^(?:who|what|when|where|which|why|how|whose|is|are|was|were|do|does|did|can|could|may|must|should|will|would|has|have)\b"
    r"|什么|谁|哪|几|多少|多久|多长|多大|如何|怎么|怎样|为何|为什么|吗|呢|是否|能否|可否|何时|何处|有无",
    re.IGNORECASE,
)


_BARE = frozenset({"yes", "no", "none", "是", "否", "有", "无", "是 的", "不 是", "没 有", "可 以", "不 可 以"})


@dataclass(frozen=True)
class Draft:
    """A pair that came through, with its passage and what the filters measured."""

    pair: Pair
    chunk: Item
    number: int
    """Place among the pairs of its passage."""
    scores: dict[str, float]
    start: int
    end: int
    """Characters of the document that hold the answer, where it is a span of it; else the whole passage."""


@dataclass
class Sieve:
    """Refuses pair after pair, and counts. Kept questions are remembered, so that copies are found across passages."""

    refused: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=dict)
    """A few refused pairs by reason, to look at."""
    kept: list[tuple[str, str]] = field(default_factory=list)
    """Keys of the questions that were kept, and of their answers; '' where those are not known."""

    def known(self, questions: Sequence[str]) -> None:
        """Questions that are in the data set already: a copy of one is no new row."""
        self.kept += [(key_of(question), "") for question in questions]

    def refuse(self, reason: str, pair: Pair) -> None:
        self.refused[reason] += 1
        shown = self.samples.setdefault(reason, [])
        if len(shown) < 3:
            shown.append(f"{pair.question} -> {pair.answer}"[:300])

    def look(self, pair: Pair, chunk: Item, number: int) -> Draft | None:
        """The filters that need no model; None for a pair that one of them refuses."""
        language = language_of(chunk.text)
        reason = pair.problem or _form(pair, language) or _content(pair, chunk.text, language)
        grounded = 1.0 if reason else grounding(pair.answer, chunk.text, language)
        if not reason and grounded < GROUNDED:
            reason = "ungrounded"
        if reason:
            self.refuse(reason, pair)
            return None
        start, end = _span(pair.answer, chunk)
        scores = {"grounded": round(grounded, 3), "on_topic": round(topic_share(pair.question, chunk.text), 3)}
        return Draft(pair, chunk, number, scores, start, end)

    def without_copies(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Drafts whose question is neither equal nor near (see `NEAR_QUESTION`) to one kept before."""
        before = len(self.kept)
        every = [*self.kept, *((key_of(draft.pair.question), key_of(draft.pair.answer)) for draft in drafts)]
        near: dict[int, list[int]] = defaultdict(list)
        if every:
            found = find_near([question for question, _ in every], Search(NEAR_QUESTION, workers=1))
            for one, other, score in zip(found.first.tolist(), found.second.tolist(), found.score, strict=True):
                if every[one][1] == every[other][1] or (not every[one][1] and score >= NEAR):
                    near[other].append(one)
        questions, gone, left = {question for question, _ in self.kept}, set[int](), []
        for n, draft in enumerate(drafts, before):
            if every[n][0] in questions or any(first not in gone for first in near[n]):
                gone.add(n)
                self.refuse("copy", draft.pair)
            else:
                questions.add(every[n][0])
                self.kept.append(every[n])
                left.append(draft)
        return left


def grounding(answer: str, passage: str, language: Language) -> float:
    """Share of an answer's tokens that the passage holds, each as often as it is there; 1 for a run of them, whole words.

    0 for a bare yes or no: the word may stand anywhere and proves nothing.
    """
    said, there = tokens(answer, language), tokens(passage, language)
    if not said or " ".join(said) in _BARE:
        return 0.0
    if f" {' '.join(said)} " in f" {' '.join(there)} ":
        return 1.0
    return sum((Counter(said) & Counter(there)).values()) / len(said)


def topic_share(question: str, passage: str) -> float:
    """Share of a question's terms, common words left out, that the passage holds."""
    terms = set(search_tokens(question)) - common_terms()
    return len(terms & set(search_tokens(passage))) / len(terms) if terms else 0.0


def same_answer(one: str, other: str, language: Language) -> float:
    """F1 of tokens of two answers; 1 where one holds all of the other and is not three times as long."""
    first, second = Counter(tokens(one, language)), Counter(tokens(other, language))
    if not first or not second:
        return 0.0
    shared = sum((first & second).values())
    small, large = sorted((sum(first.values()), sum(second.values())))
    if shared == small and large <= 3 * small:
        return 1.0
    return 2 * shared / (small + large)


def _form(pair: Pair, language: Language) -> str:
    question, answer = _words(pair.question), _words(pair.answer)
    wording = key_of(prompt_text(language))
    if key_of(pair.question) in wording or key_of(pair.answer) in {"theanswer", "答案"}:
        return "echo"
    low, high = _QUESTION_WORDS
    if not low <= question <= high or not _ANSWER_WORDS[0] <= answer <= _ANSWER_WORDS[1]:
        return "length"
    if language_of(pair.question) != language:
        return "language"
    return "" if _ASKS.search(pair.question.strip()) else "not_a_question"


def _content(pair: Pair, passage: str, language: Language) -> str:
    if _REFERS.search(pair.question):
        return "refers_to_text"
    answer = key_of(pair.answer)
    if len(answer) > 3 and answer in key_of(pair.question):
        return "gives_away"
    return "" if topic_share(pair.question, passage) >= ON_TOPIC else "off_topic"


def _words(text: str) -> float:
    """Two Chinese characters count as one word, as everywhere."""
    chinese = sum(map(is_cjk, text))
    return chinese / 2 + len(re.findall(r"[^\W_]+", "".join(" " if is_cjk(char) else char for char in text)))


def _span(answer: str, chunk: Item) -> tuple[int, int]:
    start, end = int(chunk.payload["start"]), int(chunk.payload["end"])
    # What a passage's text begins with, title and headings, is not part of the document at this place.
    body = chunk.text[len(chunk.text) - (end - start) :]
    bare = answer.strip(" .。")
    # Whole words only: "no" does not stand in "notice".
    found = re.search(rf"(?<![a-z0-9]){re.escape(bare)}(?![a-z0-9])", body, re.IGNORECASE) if bare else None
    return (start + found.start(), start + found.end()) if found else (start, end)
