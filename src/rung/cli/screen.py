"""What a person sees while a run works: the plan, a bar for each rung with its time, the score as soon as it is known."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from rung.core.errors import Problem, catalogue

if TYPE_CHECKING:
    from rung.core.evaluation import Evaluation
    from rung.store.records import Cell, Outcome, Plan
    from rung.store.runs import RunFolder


def blocker(code: str, language: str = "en") -> str:
    """A blocker or reason in words: a code of the catalogue, or a sentence as it is."""
    return Problem(code).message(language) if code in catalogue() else code


def show_plan(plan: Plan, language: str = "en") -> None:
    """The plan as a table on stdout."""
    table = Table(box=None, pad_edge=False)
    for name in ("rung", "model", "time", "memory", "money", "note"):
        table.add_column(name, justify="right" if name in {"time", "memory", "money"} else "left")
    for cell in plan.cells:
        if cell.blockers:
            reasons = " ".join(blocker(code, language) for code in cell.blockers)
            table.add_row(cell.method, cell.model, "-", "-", "-", f"cannot run: {reasons}")
            continue
        cost = cell.estimate
        table.add_row(
            cell.method, cell.model, _time(cost.seconds), f"{cost.memory_gib:.1f} GiB", f"{cost.money:.2f}", ""
        )
    Console().print(table)
    sizes = ", ".join(f"{name} {n}" for name, n in plan.splits.items())
    Console(stderr=True).print(
        f"mode {plan.mode}; {sizes}; estimates are from one timed question, before tuning ends early"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


class Bar:
    """Progress of one rung; redraws on a terminal, and says little elsewhere."""

    def __init__(self, bars: Progress | None, task: TaskID | None) -> None:
        self._bars, self._task = bars, task

    def update(self, done: float, total: float, note: str = "") -> None:
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total, note=note)


class Screen:
    """Watches a run. Bars only on a terminal; otherwise one line when a rung is done."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description:<20}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=self._console,
            )

    def __enter__(self) -> Screen:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def planned(self, plan: Plan, run: RunFolder) -> None:
        able = sum(not cell.blockers for cell in plan.cells)
        sizes = ", ".join(f"{name} {n}" for name, n in plan.splits.items())
        self._console.print(f"{run.path.name}: {able} rungs, {sizes}", highlight=False)

    def started(self, cell: Cell) -> Bar:
        if self._bars is None:
            return Bar(None, None)
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(cell.method, total=None, note="")
        return Bar(self._bars, self._task)

    def finished(self, outcome: Outcome, test: Evaluation | None) -> None:
        name = outcome.cell.method if outcome.cell.model == "-" else f"{outcome.cell.method} ({outcome.cell.model})"
        if outcome.status == "blocked":
            line = "cannot run: " + " ".join(blocker(code) for code in outcome.cell.blockers)
        elif outcome.status == "skipped":
            line = "skipped: " + blocker(outcome.reason)
        elif outcome.status == "failed":
            line = f"failed: {outcome.reason}"
        elif test is None:
            line = "not opened on test: dev does not promise the target"
        else:
            summary = next(iter(test.summaries.values()))
            line = f"{summary.metric} "
            if summary.value is not None and summary.low is not None and summary.high is not None:
                line += f"{summary.value:.3f} [{summary.low:.3f}, {summary.high:.3f}]"
            line += f", {outcome.spent.seconds:.0f} s to make"
            if outcome.notes.get("converged") is False:
                line += ", not converged"
        self._console.print(f"  {name:<32} {line}", highlight=False, markup=False)
        sys.stderr.flush()
