"""The words of a topic: what its texts say more often than the others, in English and Chinese."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rung.text.normalise import fold
from rung.text.script import CJK, language_of

WORDS = 6
_WORD = re.compile(rf"[^\W\d_{CJK}]+(?:['’][^\W\d_{CJK}]+)?")
_RUN = re.compile(r"[\u3400-\u9fff]{2,}")
_LONGEST_GRAM = 4
_FEWEST = 3
"""Occurrences without which a word says nothing about a topic."""
_GAPS = dict.fromkeys(
    map(ord, "的了是在我有不也就都很还和与及或而之于着吗呢吧啊呀嘛们你他她它这那哪么什怎请被把让给又再才只更最太"), " "
)
"""Characters that join words or say nothing by themselves: no term goes across one."""


def topic_words(texts: Sequence[str], topic: NDArray[np.int64], k: int) -> list[tuple[str, ...]]:
    """Up to WORDS words for each of k topics, by class-based TF-IDF (Grootendorst 2022, "BERTopic", section 3.3).

    Weight of a word in a topic: texts there that hold it times log(1 + texts a topic / texts overall that hold it).
    Chinese is cut into runs of 2 to 4 characters, of which a shorter one goes where a longer one says the same.
    """
    counts = [Counter[str]() for _ in range(k)]
    for text, number in zip(texts, topic.tolist(), strict=True):
        # Once a text: a word that one text repeats is not what its topic is about.
        counts[number].update(set(terms(text)))
    overall = sum(counts, Counter[str]())
    size = len(texts) / max(1, k)
    found = []
    for count in counts:
        least = _FEWEST if len(texts) > 200 else 1
        weights = {term: n * float(np.log(1 + size / overall[term])) for term, n in count.items() if n >= least}
        ranked = sorted(weights, key=lambda term: (-weights[term], term))[:80]
        found.append(tuple(_distinct(ranked, count)[:WORDS]))
    return found


def terms(text: str) -> list[str]:
    """Words without those that every text has; runs of Chinese characters."""
    folded = fold(text)
    found = [word for word in _WORD.findall(folded) if len(word) > 2 and word not in stop_words()]
    if language_of(text) == "zh":
        for run in _RUN.findall(folded.translate(_GAPS)):
            for size in range(2, _LONGEST_GRAM + 1):
                found += [run[at : at + size] for at in range(len(run) - size + 1)]
    return found


def _distinct(ranked: Sequence[str], count: Counter[str]) -> list[str]:
    """Without pieces of a longer term that stands nearly as often, and longer terms that only add to a kept one."""
    kept: list[str] = []
    for term in ranked:
        longer = [other for other in ranked if term != other and term in other and count[other] >= 0.6 * count[term]]
        if _RUN.fullmatch(term) and (longer or _crosses(term, count)):
            continue
        if any(term in other or other in term for other in kept):
            continue
        kept.append(term)
    return kept


def _crosses(term: str, count: Counter[str]) -> bool:
    """Whether a run of Chinese characters is pieces of several words: a pair in it stands far more often than the whole."""
    pairs = [count[term[at : at + 2]] for at in range(len(term) - 1)]
    return len(term) > 2 and max(pairs) > 2 * count[term]


@cache
def stop_words() -> frozenset[str]:
    """English words that every text has."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    more = {
        "don't",
        "can't",
        "i'm",
        "i've",
        "it's",
        "didn't",
        "doesn't",
        "isn't",
        "won't",
        "what's",
        "does",
        "did",
        "just",
    }
    return frozenset(ENGLISH_STOP_WORDS) | more
