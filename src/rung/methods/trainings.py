"""The trainings of one rung under one budget: a plain one, several seeds, or a search before it, as its settings ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from rung.core.method import Budget, Workers
from rung.methods.search_space import SEARCHABLE
from rung.methods.watching import Moment, Part, TrainingWatch
from rung.training.rows import TrainingRow
from rung.training.runner import Trained, train, write_job
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


class Course(Protocol):
    """What all trainings of a rung learn, whatever their hyper-parameters."""

    @property
    def settings(self) -> TrainSettings:
        """Where they start from."""
        ...

    @property
    def size(self) -> int:
        """Rows."""
        ...

    def write(self, folder: Path, settings: TrainSettings) -> None:
        """A job folder that a training process can be started on; one that is finished stays as it is."""
        ...

    def train(self, folder: Path, settings: TrainSettings, report: Callable[[dict[str, Any]], None]) -> Trained:
        """Train in a folder to the end, or go on there; one that is finished is only read."""
        ...


@dataclass(frozen=True)
class RowCourse:
    """A language model that learns rows."""

    job: Job
    rows: Sequence[TrainingRow]
    dev: Sequence[TrainingRow]

    @property
    def settings(self) -> TrainSettings:
        return self.job.settings

    @property
    def size(self) -> int:
        return len(self.rows)

    def write(self, folder: Path, settings: TrainSettings) -> None:
        write_job(folder, replace(self.job, settings=settings), list(self.rows), list(self.dev))

    def train(self, folder: Path, settings: TrainSettings, report: Callable[[dict[str, Any]], None]) -> Trained:
        return train(folder, replace(self.job, settings=settings), list(self.rows), list(self.dev), report=report)


@dataclass(frozen=True)
class Trainings:
    """All that the trainings of a rung have in common."""

    folder: Path
    """The rung's own; the training that its weights come from ends up in `training/`."""
    course: Course
    budget: Budget

    @property
    def workers(self) -> Workers | None:
        """Who trains at the same time. A training that all devices of this machine share is made here."""
        return self.budget.workers if self.budget.processes == 1 else None

    def limited(self, settings: TrainSettings, share: float) -> TrainSettings:
        """The settings with the seconds that `share` of the time left comes to, unless they name their own."""
        limit = settings.max_seconds
        if limit is None and self.budget.seconds is not None:
            limit = max(_FEWEST_SECONDS, self.budget.left * share - _START_SECONDS)
        return replace(settings, max_seconds=limit)

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
        settings = self.limited(settings, share)
        told = TrainingWatch(self.budget.progress, limit=settings.max_seconds, part=part)

        def report(line: dict[str, Any]) -> None:
            moment = told(line)
            if moment is not None:
                watch(moment)

        return self.course.train(folder, settings, report)


def train_as_asked(
    trainings: Trainings, hints: Mapping[str, Any], *, searchable: frozenset[str] = SEARCHABLE
) -> Chosen:
    """Search for hyper-parameters where `search` asks for it, then train with as many seeds as `seeds` says.

    The weights lie in `training/` of the rung's folder. Raises UsageError E2440 to E2444, E2460.
    """
    from rung.methods.hyper_search import hyper_search, hyper_search_of
    from rung.methods.seeds import seeds_of, train_seeds

    settings, begins = trainings.course.settings, 0.0
    seeds, search = seeds_of(hints), hyper_search_of(hints, settings, searchable=searchable)
    if search is not None:
        settings = hyper_search(trainings, search, coming=seeds)
        begins = search.work / (search.work + seeds)
    if seeds > 1:
        return train_seeds(trainings, settings, seeds, begins=begins)
    part = Part(begins=begins, takes=1.0 - begins)
    return Chosen(trainings.one(trainings.folder / "training", settings, part=part), settings)


def repeats(hints: Mapping[str, Any], settings: TrainSettings, *, searchable: frozenset[str] = SEARCHABLE) -> float:
    """How many whole trainings these settings take. Raises UsageError E2440 to E2444, E2460 for values that cannot be."""
    from rung.methods.hyper_search import hyper_search_of
    from rung.methods.seeds import seeds_of

    search = hyper_search_of(hints, settings, searchable=searchable)
    return seeds_of(hints) + (search.work if search else 0.0)


def trains_often(hints: Mapping[str, Any]) -> bool:
    """Whether a block of task.yaml asks for several trainings: its own, or one of its stages'."""
    blocks = [hints, *(block for block in hints.values() if isinstance(block, Mapping))]
    # `search: race` of retrieval is another search, which trains nothing.
    return any(
        block.get("seeds", 1) != 1 or (block.get("search") and not isinstance(block["search"], str)) for block in blocks
    )
