"""A small label task on scripted models: a task file, its questions, and a count of what the models are asked."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rung.core.model import Completion, Request
from rung.models.fake import FakeModel

LABELS = ("deposit", "repairs", "rent")
QUESTIONS = tuple(f"Question {n} about the {LABELS[n % 3]}" for n in range(60))


def scripted(id: str, wrong_every: int = 0) -> dict[str, Any]:
    """A scripted model of task.yaml that errs on every nth question; never, for 0."""
    answers = {}
    for n, question in enumerate(QUESTIONS):
        wrong = wrong_every and n % wrong_every == 0
        answers[question] = LABELS[(n + 1) % 3] if wrong else LABELS[n % 3]
    return {"kind": "fake", "id": id, "options": {"answers": answers}}


def write_task(folder: Path, *, models: Sequence[Mapping[str, Any]] = (), **changes: Any) -> Path:
    """task.yaml with its questions beside it. Nothing costs anything, so that measured time decides nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "question", "topic"])
        writer.writerows((f"q{n:03}", question, LABELS[n % 3]) for n, question in enumerate(QUESTIONS))
    config = {
        "name": "desk",
        "instruction": "Name the topic of the question.",
        "inputs": ["question"],
        "output": {"kind": "label", "column": "topic", "labels": list(LABELS)},
        "data": {"examples": "questions.csv", "id": "id"},
        "metrics": ["accuracy"],
        "models": list(models) or [scripted("careful")],
        "methods": ["prompt"],
        "margin": 0.3,
        "cost": {"cpu_second_price": 0, "gpu_second_price": 0},
    }
    path = folder / "task.yaml"
    path.write_text(json.dumps(config | changes, ensure_ascii=False), "utf-8")
    return path


@dataclass
class Asked:
    """What scripted models have answered; `strike` is called in place of the answer to the nth batch (from 1)."""

    batches: list[tuple[Request, ...]] = field(default_factory=list)
    calls: int = 0
    at: int = 0
    strike: Callable[[], None] | None = None

    def clear(self, *, at: int = 0, strike: Callable[[], None] | None = None) -> None:
        """Count from here; strike at batch `at`."""
        self.batches.clear()
        self.calls, self.at, self.strike = 0, at, strike


def count_asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked, real = Asked(), FakeModel.generate

    def generate(self: FakeModel, requests: Sequence[Request]) -> list[Completion]:
        asked.calls += 1
        if asked.strike is not None and asked.calls == asked.at:
            asked.strike()
        asked.batches.append(tuple(requests))
        return real(self, requests)

    monkeypatch.setattr(FakeModel, "generate", generate)
    return asked
