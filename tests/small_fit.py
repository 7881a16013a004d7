"""A little training and dev data, and a journal in memory: what a method is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from letters import LETTERS

from rung.core.method import Trial
from rung.core.task import Example, FitData, OutputSpec, Task

LABELS = ("pos", "neg")


def task(kind: str = "label", **changes: Any) -> Task:
    labels = LABELS if kind == "label" else ()
    schema = {"type": "object"} if kind == "json" else None
    values = {
        "name": "t",
        "instruction": "Judge {it}.",
        "inputs": ("text",),
        "output": OutputSpec(kind=kind, labels=labels, json_schema=schema),
        "metrics": ("accuracy",) if kind == "label" else ("token_f1",),
    }
    return Task.model_validate(values | changes)


def rows(n: int, name: str, answers: Sequence[str] = LABELS) -> tuple[Example, ...]:
    """n rows whose answers take turns: 'train 0 pos', 'train 1 neg', ..."""
    turns = [answers[i % len(answers)] for i in range(n)]
    return tuple(Example(f"{name}{i:04}", {"text": f"{name} {i} {said}"}, (said,)) for i, said in enumerate(turns))


def fit(folder: Path, *, asked: Task | None = None, n: int = 12, **changes: Any) -> FitData:
    asked = asked or task()
    answers = LABELS if asked.output.kind == "label" else ("yes it is", "no")
    values: dict[str, Any] = {
        "task": asked,
        "train": rows(n, "train", answers),
        "dev": rows(8, "dev", answers),
        "documents": (),
        "run": folder,
        "folder": folder / "work",
        "encoder": LETTERS,
    }
    return FitData(**values | changes)


@dataclass
class Notebook:
    """A journal in memory."""

    trials: list[Trial] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def find(self, setting: dict[str, Any]) -> Trial | None:
        return next((trial for trial in self.trials if trial.setting == setting), None)

    def add(self, trial: Trial) -> None:
        self.trials.append(trial)

    def note(self, key: str, value: Any) -> None:
        self.notes[key] = value
