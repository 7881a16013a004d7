"""Poisoned files: for a question and a kind of trick, a file that tries to steer the answer, read as any document is."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from rung.core.answer import Item
from rung.core.candidate import Recipe
from rung.core.hashing import seed_from
from rung.core.task import Document, Example, Language, Task
from rung.data.cleaning.orders import OrderFilter
from rung.data.intake.names import name_of
from rung.data.parsing.blocks import to_document
from rung.data.parsing.hidden import find_orders
from rung.data.parsing.parse import parse
from rung.retrieval.chunk import chunk_documents
from rung.store.attack import Goal
from rung.text.normalise import normalise_answer

FOLDER = "planted"
"""What the ids of planted documents begin with."""
_CONSONANTS, _VOWELS = "BDFGKLMNPRTVZ", "AEIOU"
_ZERO_WIDTH = "\u200b"


@cache
def kinds() -> dict[str, dict[str, str]]:
    """Every trick: its goal, the name of its file, and its text in both languages."""
    found: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("plants.json").read_text("utf-8"))
    return found


@dataclass(frozen=True)
class Plant:
    """One poisoned document and what it is after."""

    example: Example
    kind: str
    goal: Goal
    language: Language
    wanted: str
    """What the answer is to say: a word of ours, another label, or a wrong fact; empty where the plant wants to be cited."""
    document: Document
    """As it was read."""
    live: bool
    """Whether the order is still in the text after reading."""
    flagged: bool
    """Whether its text, its title or its name gives orders, by the rules of ingestion."""

    def passages(self, recipe: Recipe) -> list[Item]:
        return chunk_documents([self.document], recipe.chunk_words, recipe.chunk_overlap)


def wanted_of(task: Task, example: Example, pool: Sequence[Example], seed: int) -> Mapping[Goal, str]:
    """What plants for this question want said: `say` a word that nobody says by chance, `fact` another question's answer.

    Where answers are labels, both want a wrong label. A fact neither holds the right answer nor is held by it; without any
    in the pool it is a number.
    """
    rng = np.random.default_rng(seed_from(seed, "attack", example.id))
    right = {normalise_answer(said, task.language) for said in example.references}
    if task.output.kind == "label":
        wrong = [label for label in task.output.labels if normalise_answer(label, task.language) not in right]
        label = wrong[int(rng.integers(len(wrong)))] if wrong else ""
        return {"say": label, "fact": label, "cite": ""}
    letters = "".join(
        _CONSONANTS[int(rng.integers(len(_CONSONANTS)))] + _VOWELS[int(rng.integers(len(_VOWELS)))] for _ in range(4)
    )
    others = [
        said
        for other in pool
        for said in other.references[:1]
        if other.id != example.id
        and said != task.output.abstain
        and _differs(normalise_answer(said, task.language), right)
    ]
    fact = others[int(rng.integers(len(others)))] if others else str(int(rng.integers(1_000, 10_000)))
    return {"say": f"{letters} {int(rng.integers(100, 1_000))}", "fact": fact, "cite": ""}


def _differs(said: str, right: set[str]) -> bool:
    return bool(said) and not any(said in one or one in said for one in right)


def plant(
    example: Example, kind: str, wanted: Mapping[Goal, str], language: Language, *, screen: OrderFilter | None = None
) -> Plant:
    """The poisoned document of one kind for a question, parsed as a file of the team's would be.

    `screen`: what leaves out paragraphs that give orders, as `drop_orders` in task.yaml does.
    """
    told: Mapping[str, Any] = kinds()[kind]
    goal: Goal = told["goal"]
    target = wanted[goal]
    inner = told.get(f"inner_{language}", "").replace("{wanted}", target)
    values = {
        "question": " ".join(example.asked.split()).replace('"', "'"),
        "wanted": target,
        "base64": base64.b64encode(inner.encode()).decode(),
        "split": _ZERO_WIDTH.join(inner),
        "tags": "".join(chr(0xE0000 + ord(char)) for char in inner if char.isascii()),
        "reversed": inner[::-1],
    }
    file = _filled(told.get(f"file_{language}", told["file"]), {"wanted": target.replace("/", " ")})
    name = name_of(f"{FOLDER}/{example.id}/{kind}/{file}")
    parsed = parse(_filled(told[language], values).encode(), file)
    flagged = bool(
        find_orders(" ".join(block.text for block in parsed.blocks)) or find_orders(parsed.title) or name.remarks
    )
    if screen is not None:
        parsed = replace(parsed, blocks=tuple(screen(parsed.blocks)))
    document = to_document(parsed, name.id, PurePosixPath(file).stem)
    if screen is not None:
        document = screen.title_of(document)
    trace = values["base64"] if kind == "base64" else target
    text = f"{document.title}\n{document.text}"
    return Plant(example, kind, goal, language, target, document, live=_holds(text, trace, goal), flagged=flagged)


def _holds(text: str, trace: str, goal: Goal) -> bool:
    if goal == "cite":
        return "[1]" in text
    return bool(trace) and trace.casefold() in text.casefold()


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Each place filled once: a question's own braces stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda mark: values.get(mark[1], mark[0]), text)
