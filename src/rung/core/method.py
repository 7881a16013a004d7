"""The Method: a way to adapt a Model to a Task, and what it is given to spend and to talk through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from rung.core.candidate import Candidate
from rung.core.model import Model
from rung.core.task import FitData

Order = TypeVar("Order")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Cost:
    """A price before or after spending."""

    seconds: float = 0.0
    """Wall-clock seconds."""
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    money: float = 0.0
    memory_gib: float = 0.0
    disk_gib: float = 0.0


class Progress(Protocol):
    """Where long work reports; the command line draws a bar, tests and scripts stay silent."""

    def update(self, done: float, total: float, note: str = "") -> None: ...


class Silent:
    """Progress that nobody watches."""

    def update(self, done: float, total: float, note: str = "") -> None:
        return None


@dataclass(frozen=True)
class Trial:
    """One setting tried on dev."""

    setting: dict[str, Any]
    score: float
    n: int
    seconds: float = 0.0
    failed: int = 0


class Journal(Protocol):
    """What a method writes down as it works; kept in the candidate's folder, and read again on resume."""

    def find(self, setting: dict[str, Any]) -> Trial | None:
        """The result of a setting that an interrupted run has already tried."""
        ...

    def add(self, trial: Trial) -> None: ...

    def note(self, key: str, value: Any) -> None:
        """A fact about the adaptation for the report: `converged`, `curve`, `skipped`, ..."""
        ...


class Workers(Protocol):
    """Other processes that make pieces of work at the same time, on machines that all see the run folder under the same path."""

    def count(self) -> int:
        """How many pieces at the same time."""
        ...

    def carry_out(self, work: Callable[[Order], Made], orders: Sequence[Order]) -> Iterator[tuple[int, Made]]:
        """Each order's place and what came of it, as it is done, in any order. Everything crosses as a pickled copy."""
        ...

    def spent(self) -> Cost:
        """What their work has taken there so far; `seconds`: how long this process has waited for them."""
        ...


@dataclass(frozen=True)
class Budget:
    """What a method may spend. `deadline` is a `time.monotonic` reading."""

    journal: Journal
    seconds: float | None = None
    progress: Progress = field(default_factory=Silent)
    started: float = field(default_factory=time.monotonic)
    charged: Callable[[Model], Model] = field(default=lambda model: model)
    """Puts a model that a method opens for itself on the run's account: what it charges counts towards the limit on money."""
    processes: int = 1
    """Processes on this machine that share one training: one for each device."""
    workers: Workers | None = None
    """Who makes several trainings of one rung at the same time; None: they are made here, one after another."""

    @property
    def left(self) -> float:
        """Seconds left; infinite without a limit."""
        return float("inf") if self.seconds is None else self.seconds - (time.monotonic() - self.started)


class Method(Protocol):
    """One way to adapt. It never sees test data and never evaluates itself."""

    name: str
    rank: int
    """Place on the ladder: cheaper rungs first."""

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        """Why it cannot run here, one sentence each; empty when it can."""
        ...

    def estimate(self, fit: FitData, model: Model) -> Cost:
        """What adapting will take, before anything is spent."""
        ...

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate: ...
