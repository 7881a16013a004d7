"""One process working on one run: what it holds, what it has spent, and who looks on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from rung.core.evaluation import Evaluation, Metric
from rung.core.method import Progress, Silent
from rung.experiment.limits import UNCHANGED, Limits
from rung.experiment.meter import PeakMemory, Stopwatch
from rung.experiment.plan import Bench
from rung.experiment.setup import Prepared
from rung.store.records import Cell, Outcome, Plan
from rung.store.runs import RunFolder


class Watcher(Protocol):
    """What a run tells while it works."""

    def reading(self) -> Progress: ...
    def planned(self, plan: Plan, run: RunFolder) -> None: ...
    def started(self, cell: Cell) -> Progress: ...
    def finished(self, outcome: Outcome, test: Evaluation | None) -> None: ...


class Unwatched:
    """Nobody looks."""

    def reading(self) -> Progress:
        return Silent()

    def planned(self, plan: Plan, run: RunFolder) -> None:
        return None

    def started(self, cell: Cell) -> Progress:
        return Silent()

    def finished(self, outcome: Outcome, test: Evaluation | None) -> None:
        return None


@dataclass
class Session:
    """One process working on one run."""

    task_file: Path
    prepared: Prepared
    run: RunFolder
    bench: Bench
    metrics: Sequence[Metric]
    watcher: Watcher
    memory: PeakMemory
    mode: Literal["compare", "climb"]
    limits: Limits = UNCHANGED
    """Those of this call, already in the budget of `prepared`."""
    watch: Stopwatch = field(default_factory=Stopwatch)
    spent_before: float = 0.0
    slowest: float = 0.0
    """Seconds of the slowest evaluation pair (dev and test) so far."""

    @property
    def left(self) -> float | None:
        minutes = self.prepared.config.budget.minutes
        return None if minutes is None else 60.0 * minutes - self.spent_before - self.watch.seconds
