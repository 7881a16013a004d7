"""What a model is asked: to draft questions from a passage, and to answer one from it, in the document's language."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from rung.core.answer import Item
from rung.core.hashing import hash_json, seed_from
from rung.core.model import Message, Request
from rung.core.task import Language
from rung.text.script import language_of

TOKENS_A_PAIR = 90
_CHECK_TOKENS = 40
_WARM = 0.3
_DRAFTING = ("system", "example_passage", "example_answer", "draft")


@cache
def _texts() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("prompts.json").read_text("utf-8"))
    return found


def prompt_hash() -> str:
    """Hash of what is asked: rows drafted by other words are another draft."""
    return hash_json([{name: texts[name] for name in _DRAFTING} for texts in _texts().values()], 8)


def prompt_text(language: Language) -> str:
    """All words of the drafting prompt, its worked example included: what a lazy model hands back."""
    return "\n".join(_texts()[language][name] for name in _DRAFTING)


@cache
def common_terms() -> frozenset[str]:
    """Words that any question and any passage have in common, in both languages."""
    return frozenset(word for texts in _texts().values() for word in texts["common"].split())


def draft_request(chunk: Item, per_chunk: int, seed: int = 0) -> Request:
    """Ask for `per_chunk` questions with their answers; the passage decides the language."""
    texts = _texts()[language_of(chunk.text)]
    return Request(
        (
            Message("system", texts["system"]),
            # One worked example: without it small models answer the request with anything but pairs.
            Message("user", _asking(texts, texts["example_passage"], 2)),
            Message("assistant", texts["example_answer"]),
            Message("user", _asking(texts, chunk.text, per_chunk)),
        ),
        max_tokens=TOKENS_A_PAIR * per_chunk,
        temperature=_WARM,
        seed=seed_from("draft", seed, chunk.id) % (1 << 31),
        query=chunk.text,
    )


def _asking(texts: dict[str, str], passage: str, count: int) -> str:
    # The passage goes in last: it is data, and may hold braces.
    return texts["draft"].replace("{n}", str(count), 1).replace("{passage}", passage, 1)


def check_request(passage: str, question: str) -> Request:
    """Ask the question again, with the passage in sight and the answer not."""
    texts = _texts()[language_of(passage)]
    text = texts["check"].replace("{none}", texts["none"], 1)
    text = text.replace("{question}", question, 1).replace("{passage}", passage, 1)
    return Request((Message("user", text),), max_tokens=_CHECK_TOKENS, query=question)
