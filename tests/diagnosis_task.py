"""A small document task whose scripted model lacks what a test plants: knowledge, the form of an answer, or neither."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rung.core.model import Completion, Request
from rung.models.fake import FakeModel

N = 100
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty")


def answer_of(n: int) -> str:
    return f"{WORDS[n % 10]} {WORDS[n // 10]}"


def number_of(request: Request) -> int:
    return int("".join(c for c in request.query.split("room")[1].split("?")[0] if c.isdigit()))


def write_document_task(folder: Path, **changes: Any) -> Path:
    """100 questions about 100 rooms, a document for each, nothing costs anything."""
    (folder / "notes").mkdir(parents=True, exist_ok=True)
    with (folder / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "question", "answer", "document"])
        for n in range(N):
            writer.writerow([f"q{n:03}", f"What is the code of room {n}?", answer_of(n), f"room-{n}.md"])
            text = f"# Room {n}\n\nIt has a window.\n\nThe code of room {n} is {answer_of(n)}.\n"
            (folder / "notes" / f"room-{n}.md").write_text(text, "utf-8")
    config = {
        "name": "rooms",
        "instruction": "Tell the code of the room.",
        "inputs": ["question"],
        "output": {"kind": "text", "column": "answer", "max_tokens": 8, "abstain": "Not said."},
        "data": {"examples": "questions.csv", "id": "id", "document": "document", "dev_share": 0.4, "test_share": 0.3},
        "documents": "notes",
        "metrics": ["exact_match"],
        "models": [{"kind": "fake", "id": "scripted", "options": {"answers": {}, "default": "?"}}],
        "methods": ["prompt"],
        "cost": {"cpu_second_price": 0, "gpu_second_price": 0},
    }
    path = folder / "task.yaml"
    path.write_text(json.dumps(config | changes, ensure_ascii=False), "utf-8")
    return path


def script(monkeypatch: pytest.MonkeyPatch, answers: Callable[[Request], str]) -> list[Request]:
    """Every scripted model answers by this function; returns what it has been asked so far."""
    asked: list[Request] = []

    def generate(self: FakeModel, requests: list[Request]) -> list[Completion]:
        asked.extend(requests)
        return [Completion(text=answers(request)) for request in requests]

    monkeypatch.setattr(FakeModel, "generate", generate)
    return asked


def lacks(*, knowledge: bool = False, form: bool = False) -> Callable[[Request], str]:
    """Right on every fourth question; on the rest once it is shown the passage, the form, or both, as it lacks them."""

    def answers(request: Request) -> str:
        n = number_of(request)
        told = any(answer_of(n) in passage.text for passage in request.passages)
        if n % 4 == 0 or ((told or not knowledge) and (bool(request.shots) or not form)):
            return answer_of(n)
        return f"The code is {answer_of(n)}, I think" if told or not knowledge else "Not said."

    return answers
