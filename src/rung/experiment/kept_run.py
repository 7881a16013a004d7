"""A run as it lies in its folder, for what is measured afterwards: its task, metric, candidates and their models."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rung.core.answer import CANDIDATE, Item, Opened, Retriever, create_encoder, open_candidate
from rung.core.candidate import Candidate
from rung.core.evaluation import Evaluation, Metric
from rung.core.model import Encoder, Model
from rung.core.registry import create, find
from rung.core.task import SplitName, Task
from rung.experiment.purse import ANSWERS, PaidModel, Purse, budget_of
from rung.methods.slots import encoder_named
from rung.models.cache import CachedModel
from rung.store.runs import RunFolder, reading


@dataclass(frozen=True)
class KeptRun:
    """A run folder that has at least begun. Nothing is loaded before it is asked for."""

    run: RunFolder
    max_cost: float | None = None
    """Money for endpoints over the whole run, in place of its budget's."""

    @cached_property
    def record(self) -> dict[str, Any]:
        return self.run.read_run()

    @cached_property
    def task(self) -> Task:
        with reading(self.run.path / "run.yaml"):
            return Task.model_validate(self.record["task"])

    @cached_property
    def metric(self) -> Metric:
        found: Metric = create("metric", self.task.metric, task=self.task)
        return found

    @property
    def seed(self) -> int:
        return int(self.record.get("seed", 0))

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.record.get("config") or {}

    @cached_property
    def purse(self) -> Purse:
        limit = budget_of(self.record) if self.max_cost is None else self.max_cost
        return Purse.of_run(self.run.path, limit)

    @cached_property
    def winner(self) -> str:
        decision = self.run.read_decision()
        return (decision.winner if decision else None) or ""

    @cached_property
    def retrieving(self) -> tuple[str, ...]:
        """Candidates that read documents: the winner first, then by their score on dev."""
        names = [name for name in self.run.candidates() if self.run.read_candidate(name).retriever is not None]
        return tuple(sorted(names, key=lambda name: (name != self.winner, -self._on_dev(name), name)))

    def _on_dev(self, name: str) -> float:
        found = self.evaluation(name, "dev")
        value = found.summaries[self.metric.name].value if found else None
        return -math.inf if value is None else value if self.metric.better == "higher" else -value

    def evaluation(self, name: str, split: SplitName) -> Evaluation | None:
        return self.run.read_evaluation(name, split)

    def encoder(self, name: str, candidate: Candidate) -> Encoder | None:
        """The encoder of a candidate's index, loaded once in this process."""
        wanted = candidate.retriever.recipe.encoder if candidate.retriever else ""
        if not wanted:
            return None
        return create_encoder(wanted, self.run.candidate_folder(name)) if CANDIDATE in wanted else encoder_named(wanted)

    def index(self, name: str) -> Retriever:
        """The opened index of a candidate that reads documents; no model is loaded."""
        candidate = self.run.read_candidate(name)
        assert candidate.retriever is not None
        folder = self.run.indexes / candidate.retriever.index.split("@")[0]
        encoder = self.encoder(name, candidate)
        found: Retriever = create("retriever", candidate.retriever.recipe.kind, folder=folder, encoder=encoder)
        return found

    def open(self, name: str) -> Opened:
        """A candidate on its own model; an endpoint on the run's account."""
        candidate = self.run.read_candidate(name)
        folder = self.run.candidate_folder(name)
        model: Model = find("model", candidate.model.kind).open(
            candidate.model, adapter=candidate.adapter, folder=folder
        )
        if candidate.model.options.get("base_url"):
            model = CachedModel(PaidModel(model, self.purse), self.run.path / ANSWERS)
        return open_candidate(candidate, folder, self.run.indexes, model=model, encoder=self.encoder(name, candidate))


def items_in(index: Retriever) -> Iterable[Item]:
    """Every passage of an opened index."""
    found: Iterable[Item] = getattr(index, "items", ())
    return found


def release(model: Model) -> None:
    """Give back the memory of a model that can."""
    if hasattr(model, "release"):
        model.release()
