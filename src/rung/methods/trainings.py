"""The trainings of one rung under one budget: a plain one, several seeds, or a search before it, as its settings ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.method import Budget
from rung.methods.watching import Moment, Part, TrainingWatch
from rung.training.rows import TrainingRow
from rung.training.runner import Trained, train
from rung.training.settings import TrainSettings
from rung.training.work import Job

REPEATS = frozenset({"seeds", "search"})
"""Settings of a trained method that say how often it trains; all the others belong to a training."""
_START_SECONDS = 12.0
"""Starting the child and reading the weights, taken off a budget before training."""
_FEWEST_SECONDS = 5.0


@dataclass(frozen=True)
class Chosen:
    """A finished training and the hyper-parameters that it was made with."""

    trained: Trained
    settings: TrainSettings


@dataclass(frozen=True)
class Trainings:
    """All that the trainings of a rung have in common. `job.settings` is where they start from."""

    folder: Path
    """The rung's own; the training that its weights come from ends up in `training/`."""
    job: Job
    rows: Sequence[TrainingRow]
    dev: Sequence[TrainingRow]
    budget: Budget

    def one(
        self,
        folder: Path,
        settings: TrainSettings,
        *,
        part: Part | None = None,
        share: float = 1.0,
        watch: Callable[[Moment], None] = lambda moment: None,
    ) -> Trained:
        """Train in a folder, or go on there. `share`: of the time left, what it may take; `watch` may raise to end it."""
        limit = settings.max_seconds
        if limit is None and self.budget.seconds is not None:
            limit = max(_FEWEST_SECONDS, self.budget.left * share - _START_SECONDS)
        told = TrainingWatch(self.budget.progress, limit=limit, part=part)

        def report(line: dict[str, Any]) -> None:
            moment = told(line)
            if moment is not None:
                watch(moment)

        job = replace(self.job, settings=replace(settings, max_seconds=limit))
        return train(folder, job, list(self.rows), list(self.dev), report=report)


def train_as_asked(trainings: Trainings, hints: Mapping[str, Any]) -> Chosen:
    """Search for hyper-parameters where `search` asks for it, then train with as many seeds as `seeds` says.

    The weights lie in `training/` of the rung's folder. Raises UsageError E2440 to E2444, E2460.
    """
    from rung.methods.hyper_search import hyper_search, hyper_search_of
    from rung.methods.seeds import seeds_of, train_seeds

    seeds, search = seeds_of(hints), hyper_search_of(hints, trainings.job.settings)
    settings, begins = trainings.job.settings, 0.0
    if search is not None:
        settings = hyper_search(trainings, search, coming=seeds)
        begins = search.work / (search.work + seeds)
    if seeds > 1:
        return train_seeds(trainings, settings, seeds, begins=begins)
    part = Part(begins=begins, takes=1.0 - begins)
    return Chosen(trainings.one(trainings.folder / "training", settings, part=part), settings)


def repeats(hints: Mapping[str, Any], settings: TrainSettings) -> float:
    """How many whole trainings these settings take. Raises UsageError E2440 to E2444, E2460 for values that cannot be."""
    from rung.methods.hyper_search import hyper_search_of
    from rung.methods.seeds import seeds_of

    search = hyper_search_of(hints, settings)
    return seeds_of(hints) + (search.work if search else 0.0)
