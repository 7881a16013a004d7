"""General ability: a fixed set of easy questions in English and Chinese, asked of a model before and after tuning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.hashing import hash_json, seed_from
from rung.core.model import Completion, Message, Request
from rung.core.task import Language
from rung.experiment.aftermath.measures import Marks, changed, smallest_loss
from rung.store.aftermath import Ability, Change


@dataclass(frozen=True, slots=True)
class Question:
    """One choice question, its options in the order in which they are shown."""

    id: str
    language: Language
    kind: str
    text: str
    options: tuple[str, ...]
    right: int
    """Place of the right option."""


@cache
def written() -> dict[str, Any]:
    """`general.json`: `questions` (language, kind, question, right, wrong) and free `prompts` (language, prompt)."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("general.json").read_text("utf-8"))
    return found


def questions_hash() -> str:
    return hash_json(written()["questions"])


def general_questions(seed: int = 0) -> tuple[Question, ...]:
    """Every question; of those with as many options, the right one stands equally often in every place."""
    entries = written()["questions"]
    rng = np.random.default_rng(seed_from(seed, "general questions"))
    turns: dict[tuple[str, int], int] = {}
    made: list[Question | None] = [None] * len(entries)
    for n in rng.permutation(len(entries)):
        entry = entries[n]
        size = 1 + len(entry["wrong"])
        right = turns.get((entry["language"], size), 0)
        turns[entry["language"], size] = (right + 1) % size
        options = [entry["wrong"][i] for i in rng.permutation(size - 1)]
        options.insert(right, entry["right"])
        made[n] = Question(
            f"{entry['language']}-{n:03}", entry["language"], entry["kind"], entry["question"], tuple(options), right
        )
    return tuple(question for question in made if question is not None)


def pick(questions: Sequence[Question], n: int, seed: int) -> tuple[Question, ...]:
    """n of them, as many of every language and kind as can be, in their own order."""
    rng = np.random.default_rng(seed_from(seed, "pick", n))
    seen: dict[tuple[str, str], int] = {}
    ranked: list[tuple[int, int, int]] = []
    for i in rng.permutation(len(questions)):
        place = questions[i].language, questions[i].kind
        seen[place] = seen.get(place, 0) + 1
        ranked.append((seen[place], len(ranked), int(i)))
    return tuple(questions[i] for i in sorted(i for _, _, i in sorted(ranked)[:n]))


def request_of(question: Question) -> Request:
    """The question alone, no instruction before it; the model is held to the options.

    The prompt does not list them: small models then answer little better than by chance, and a loss could not show.
    """
    return Request(messages=(Message("user", question.text),), choices=question.options, query=question.text)


def mark(questions: Sequence[Question], answers: Sequence[Completion]) -> Marks:
    """Whether the likeliest option is the right one; None where no answer came.

    A backend that cannot score options is taken at its word: its answer must be an option as it stands.
    """
    return [_mark(question, answer) for question, answer in zip(questions, answers, strict=True)]


def _mark(question: Question, answer: Completion) -> bool | None:
    if answer.failure is not None:
        return None
    if answer.choice_scores:
        return int(np.argmax(answer.choice_scores)) == question.right
    return answer.text.strip() == question.options[question.right]


def abilities(
    questions: Sequence[Question], before: Marks, after: Marks, *, margin: float, seed: int
) -> tuple[Ability, ...]:
    """All questions, with every kind of them, then each language."""
    found = []
    for name in ("all", "en", "zh"):
        places = [i for i, question in enumerate(questions) if name in {"all", question.language}]
        whole = _part(name, places, before, after, seed)
        kinds = sorted({questions[i].kind for i in places}) if name == "all" else []
        parts = tuple(
            _part(kind, [i for i in places if questions[i].kind == kind], before, after, seed) for kind in kinds
        )
        found.append(_ability(whole, parts, margin))
    return tuple(found)


def _part(name: str, places: Sequence[int], before: Marks, after: Marks, seed: int) -> Change:
    return changed(name, [before[i] for i in places], [after[i] for i in places], seed)


def _ability(whole: Change, kinds: tuple[Change, ...], margin: float) -> Ability:
    high = whole.change.high
    if high is None:
        return Ability(verdict="unknown", share=whole, kinds=kinds)
    if high < 0:
        return Ability(verdict="forgot" if high < -margin else "fell", share=whole, kinds=kinds)
    return Ability(verdict="no_loss_seen", share=whole, smallest=smallest_loss(whole, margin), kinds=kinds)
