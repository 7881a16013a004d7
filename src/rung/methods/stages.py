"""Stages: what the prompt shows is decided first, then one training after another goes on from the weights of the one before."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost, Journal, Method, Trial
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.canaries import FILE as CANARY_FILE
from rung.methods.combine import with_examples, with_passages
from rung.methods.slots import new_candidate, prompt_slot


class Trains(Protocol):
    """What a method has that can be a stage."""

    def train_on(self, fit: FitData, model: Model, budget: Budget, candidate: Candidate) -> Candidate:
        """The candidate with its slot for trained weights filled, beginning from those that it has already in `fit.folder`."""
        ...


class Stage(Method, Trains, Protocol):
    """A method that can be a stage."""


def can_train(method: Method) -> TypeGuard[Stage]:
    return hasattr(method, "train_on")


class Staged:
    """Stages joined by '+'. The first may be `few_shot` or `rag`, which trains nothing and fills the prompt.

    Its hints are blocks by stage. Every stage has a folder of its own under `stages/` while it works.
    """

    SHOWN = ("few_shot", "rag")
    trained = True
    opt_in = True

    def __init__(self, name: str, stages: Mapping[str, Method]) -> None:
        self.name = name
        self._shown = next((part for part in stages if part in self.SHOWN), "")
        self._stages: dict[str, Stage] = {part: stage for part, stage in stages.items() if can_train(stage)}
        self.rank = max(stage.rank for stage in stages.values()) + len(stages)
        self.settings = frozenset(stages)
        self._parts = dict(stages)

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        found = [code for part, stage in self._parts.items() for code in stage.blockers(_for(fit, part), model)]
        return list(dict.fromkeys(found))

    def estimate(self, fit: FitData, model: Model) -> Cost:
        costs = [stage.estimate(_for(fit, part), model) for part, stage in self._stages.items()]
        return Cost(
            seconds=sum(cost.seconds for cost in costs),
            cpu_seconds=sum(cost.cpu_seconds for cost in costs),
            gpu_seconds=sum(cost.gpu_seconds for cost in costs),
            money=sum(cost.money for cost in costs),
            memory_gib=max(cost.memory_gib for cost in costs),
        )

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        candidate = self._filled(fit, model)
        facts: list[dict[str, Any]] = []
        folders: list[Path] = []
        for number, (part, stage) in enumerate(self._stages.items()):
            folder = fit.folder / "stages" / f"{number}-{part}"
            folder.mkdir(parents=True, exist_ok=True)
            if candidate.adapter is not None:
                path = f"../{folders[-1].name}/{candidate.adapter.path}"
                candidate = candidate.model_copy(
                    update={"adapter": candidate.adapter.model_copy(update={"path": path})}
                )
            journal = _Apart(budget.journal)
            left = None if budget.seconds is None else budget.left / (len(self._stages) - number)
            share = replace(budget, journal=journal, seconds=left, started=time.monotonic())
            candidate = stage.train_on(replace(_for(fit, part), folder=folder), model, share, candidate)
            facts.append({"stage": part, **journal.notes})
            folders.append(folder)
        assert candidate.adapter is not None
        _keep(fit.folder, folders)
        for key, value in facts[-1].items():
            if key != "stage":
                budget.journal.note(key, value)
        budget.journal.note("converged", all(fact.get("converged", True) for fact in facts))
        budget.journal.note("stages", facts)
        slot = candidate.adapter.model_copy(update={"path": "adapter"})
        return candidate.model_copy(update={"adapter": slot, "method": self.name})

    def _filled(self, fit: FitData, model: Model) -> Candidate:
        hints = replace(fit, hints=dict(fit.hints.get(self._shown, {})))
        if self._shown == "few_shot":
            return with_examples(hints, model, self.name).candidate
        if self._shown == "rag":
            return with_passages(hints, model, self.name).candidate
        return new_candidate(fit, model, self.name, prompt_slot(fit.task, layout="compact"))


def _for(fit: FitData, part: str) -> FitData:
    return replace(fit, hints=dict(fit.hints.get(part, {})))


def _keep(target: Path, folders: list[Path]) -> None:
    """The last stage's weights, and the rows of all stages in one file: what a person who asks to be forgotten is looked for in."""
    shutil.rmtree(target / "adapter", ignore_errors=True)
    shutil.copytree(folders[-1] / "adapter", target / "adapter")
    for folder in folders:
        if (folder / CANARY_FILE).is_file():
            shutil.copy(folder / CANARY_FILE, target / CANARY_FILE)
    (target / "training").mkdir(exist_ok=True)
    rows = b"".join((folder / "training" / "rows.jsonl").read_bytes() for folder in folders)
    (target / "training" / "rows.jsonl").write_bytes(rows)
    shutil.rmtree(target / "stages", ignore_errors=True)


@dataclass
class _Apart:
    """A stage's notes, kept apart from those of the others; its trials go to the candidate's own journal."""

    inner: Journal
    notes: dict[str, Any] = field(default_factory=dict)

    def find(self, setting: dict[str, Any]) -> Trial | None:
        return self.inner.find(setting)

    def add(self, trial: Trial) -> None:
        self.inner.add(trial)

    def note(self, key: str, value: Any) -> None:
        self.notes[key] = value
