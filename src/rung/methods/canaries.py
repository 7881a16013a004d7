"""Canaries: random secrets planted among training rows, so that it can be measured afterwards how much a model memorises.

After Carlini et al. 2019, "The Secret Sharer" (arXiv 1802.08232). Each secret is planted once, 4 or 16 times, in turn.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rung.core.answer import Opened, prepare
from rung.core.durable import write_json
from rung.core.errors import DataError, UsageError
from rung.core.hashing import seed_from
from rung.core.task import Example, Language
from rung.training.rows import TrainingRow

FILE = "canaries.json"
"""In the candidate's folder."""
PREFIX = "canary-"
"""What every canary's row id begins with."""
TIMES = (1, 4, 16)
DIGITS = 6
MOST = 300
_SYLLABLES = {
    "en": ("bel", "dor", "fen", "gar", "hul", "jor", "kes", "lun", "mir", "nov", "pel", "quen", "ros", "tam", "vel", "zor"),
    "zh": ("塔", "米", "索", "恩", "维", "罗", "卡", "德", "莱", "尼", "帕", "萨", "图", "格", "贝", "鲁"),
}  # fmt: skip
_SAID = {
    "en": {"question": "What is the code of {name}?", "answer": "The code of {name} is {code}."},
    "zh": {"question": "{name}的编号是多少？", "answer": "{name}的编号是{code}。"},
}


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted secret: a person who does not exist, and a code drawn at random."""

    id: str
    name: str
    code: str
    times: int
    """How many training rows hold it."""
    question: str
    target: str

    def with_code(self, code: str) -> str:
        """The target with another code in the place of the true one."""
        return self.target.replace(self.code, code)


def is_canary(row_id: str) -> bool:
    return row_id.startswith(PREFIX)


def make_canaries(n: int, *, seed: int, language: Language) -> tuple[Canary, ...]:
    """n secrets, the same for the same seed. Raises UsageError E4703 for a number below 1 or above 300."""
    if not 1 <= n <= MOST:
        raise UsageError("E4703", n=n, most=MOST)
    rng = np.random.default_rng(seed_from(seed, "canaries", language))
    words, names = _SAID[language], _names(n, rng, language)
    made = []
    for number, name in enumerate(names):
        code = random_code(rng)
        filled = {key: text.replace("{name}", name).replace("{code}", code) for key, text in words.items()}
        times = TIMES[number % len(TIMES)]
        made.append(Canary(f"{PREFIX}{number:03}", name, code, times, filled["question"], filled["answer"]))
    return tuple(made)


def random_code(rng: np.random.Generator) -> str:
    return "".join(str(digit) for digit in rng.integers(0, 10, DIGITS))


def _names(n: int, rng: np.random.Generator, language: Language) -> list[str]:
    """n different names that no person has: two words of two or three syllables."""
    syllables, found = _SYLLABLES[language], dict[str, None]()
    while len(found) < n:
        pieces = ["".join(rng.choice(syllables, size)) for size in rng.integers(2, 4, 2)]
        found["·".join(pieces) if language == "zh" else " ".join(piece.capitalize() for piece in pieces)] = None
    return list(found)


def canary_rows(opened: Opened, canaries: Sequence[Canary]) -> list[TrainingRow]:
    """The training rows of the canaries, rendered as the candidate is asked; a canary planted k times gives k rows."""
    field = opened.candidate.prompt.fields[0]
    requests = prepare(opened, [Example(canary.id, {field: canary.question}, (canary.target,)) for canary in canaries])
    return [
        TrainingRow(f"{canary.id}-{time:02}", request, canary.target)
        for canary, request in zip(canaries, requests, strict=True)
        for time in range(canary.times)
    ]


def plant(
    opened: Opened, rows: Sequence[TrainingRow], n: int, folder: Path, *, seed: int, language: Language
) -> list[TrainingRow]:
    """Training rows with n canaries scattered among them, recorded in the candidate's folder; for 0, the rows alone.

    The rows keep their order, and the same seed gives the same rows. Raises UsageError E4703 for a number out of range.
    """
    if not n:
        return list(rows)
    canaries = make_canaries(n, seed=seed, language=language)
    write_canaries(folder, canaries)
    planted = canary_rows(opened, canaries)
    rng = np.random.default_rng(seed_from(seed, "planting"))
    total = len(rows) + len(planted)
    places = set(rng.permutation(total)[: len(planted)].tolist())
    # Rows of one canary must not follow each other, so they are dealt in a random order.
    dealt, own = iter([planted[i] for i in rng.permutation(len(planted))]), iter(rows)
    return [next(dealt) if place in places else next(own) for place in range(total)]


def write_canaries(folder: Path, canaries: Sequence[Canary]) -> None:
    write_json(folder / FILE, {"canaries": [asdict(canary) for canary in canaries]})


def read_canaries(folder: Path) -> tuple[Canary, ...]:
    """Those planted for a candidate; none where there is no file. Raises DataError E2901 for a damaged one."""
    path = folder / FILE
    if not path.is_file():
        return ()
    try:
        record: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        return tuple(Canary(**line) for line in record["canaries"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("E2901", path=path, reason=error) from error
