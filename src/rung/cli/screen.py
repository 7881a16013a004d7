"""What a person sees while a run works: the plan, a bar for each rung with its time, the score as soon as it is known."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from rung.core.errors import Problem
from rung.reporting.words import Words

if TYPE_CHECKING:
    from rung.core.evaluation import Evaluation
    from rung.core.task import Language
    from rung.methods.watching import Moment
    from rung.store.records import Cell, Outcome, Plan
    from rung.store.runs import RunFolder


def show_plan(plan: Plan, language: Language = "en") -> None:
    """The plan as a table on stdout."""
    words = Words(language)
    table = Table(box=None, pad_edge=False)
    for name in ("rung", "model", "time", "memory", "disk", "money", "note"):
        figure = name in {"time", "memory", "disk", "money"}
        table.add_column(words(f"screen.{name}"), justify="right" if figure else "left")
    for cell in plan.cells:
        if cell.blockers:
            note = words("screen.blocked", reason=cell.hindrance(language))
            table.add_row(cell.method, cell.model, "-", "-", "-", "-", note)
            continue
        cost = cell.estimate
        memory, disk = f"{cost.memory_gib:.1f} GiB", f"{cost.disk_gib:.1f} GiB" if cost.disk_gib else "-"
        note = " ".join(warning.code for warning in cell.warnings)
        table.add_row(cell.method, cell.model, _time(cost.seconds), memory, disk, f"{cost.money:.2f}", note)
    # A reason may hold [brackets], which are no markup.
    Console(markup=False).print(table)
    told = words("screen.about_plan", mode=words(f"screen.{plan.mode}"), sizes=_sizes(plan, words))
    told_apart = Console(stderr=True, markup=False)
    told_apart.print(told)
    for warning in _warnings(plan, words):
        told_apart.print(warning, soft_wrap=True)


def _warnings(plan: Plan, words: Words) -> Iterator[str]:
    """What a person should know before it starts, with what to do about it."""
    for cell in plan.cells:
        for stated in cell.warnings:
            problem = Problem(stated.code, values=dict(stated.values))
            text = " ".join(part for part in (problem.message(words.language), problem.hint(words.language)) if part)
            yield words("screen.warning", text=f"{text} [{problem.code}]")


def _sizes(plan: Plan, words: Words) -> str:
    return words.join([f"{words.known(f'screen.{name}', name)} {n}" for name, n in plan.splits.items()])


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


EVERY = 30.0
"""Seconds from one line about a training to the next where there is no terminal to draw on."""


class Bar:
    """Progress of one rung; redraws on a terminal, and elsewhere says every half minute where a training stands."""

    def __init__(
        self, bars: Progress | None, task: TaskID | None, *, name: str = "", told: Teller | None = None
    ) -> None:
        self._bars, self._task, self._name, self._told = bars, task, name, told
        self._said = time.monotonic()

    def update(self, done: float, total: float, note: str = "") -> None:
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=done, total=total, note=note)

    def record(self, moment: Moment) -> None:
        """Where a training stands, in the reader's language."""
        if self._told is None:
            return
        note = self._told.moment(moment)
        self.update(min(1.0, moment.part.begins + moment.part.takes * moment.share), 1.0, note)
        if self._bars is None and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            self._told.say(f"  {self._name:<20} {note}")


@dataclass(frozen=True)
class Teller:
    """Puts a training's figures into words on one line, the ones that matter most first."""

    words: Words
    console: Console

    def say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def moment(self, at: Moment) -> str:
        words, parts = self.words, []
        if at.part.name:
            kind = at.part.name.partition("-")[0]
            parts.append(words(f"screen.part_{kind}", n=at.part.number, of=at.part.of))
        parts.append(words("screen.step", step=f"{at.step:,}", planned=f"{at.planned:,}"))
        parts.append(words("screen.time_left", time=_time(at.left)))
        parts.append(words("screen.loss", loss=f"{at.smooth:.3f}"))
        if at.best is not None:
            latest = at.latest if at.latest is not None else at.best
            parts.append(words("screen.dev_best", dev=f"{latest:.3f}", best=f"{at.best:.3f}", step=f"{at.best_step:,}"))
        parts.append(words("screen.speed", n=f"{at.tokens_per_second:,.0f}"))
        parts.append(words("screen.rate", rate=f"{at.rate:.2g}"))
        if at.memory_gib is not None:
            parts.append(words("screen.memory_now", n=f"{at.memory_gib:.1f}"))
        return " · ".join(parts)


class Screen:
    """Watches a run. Bars only on a terminal; otherwise one line when a rung is done."""

    def __init__(self, language: Language = "en") -> None:
        self._words = Words(language)
        self._console = Console(stderr=True)
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description:<20}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TextColumn(self._words("screen.left")),
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

    def reading(self) -> Bar:
        return self.bar(self._words("screen.reading"))

    def planned(self, plan: Plan, run: RunFolder) -> None:
        able = sum(not cell.blockers for cell in plan.cells)
        told = self._words("screen.planned", run=run.path.name, n=able, sizes=_sizes(plan, self._words))
        self._console.print(told, highlight=False, markup=False)
        for warning in _warnings(plan, self._words):
            self._console.print(warning, highlight=False, markup=False, soft_wrap=True)

    def started(self, cell: Cell) -> Bar:
        return self.bar(cell.method)

    def bar(self, name: str) -> Bar:
        """The bar of one piece of work; it takes the place of the one before."""
        told = Teller(self._words, self._console)
        if self._bars is None:
            return Bar(None, None, name=name, told=told)
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(name, total=None, note="")
        return Bar(self._bars, self._task, name=name, told=told)

    def warned(self, problem: Problem) -> None:
        """Something that a person should know and that does not stop the run."""
        language = self._words.language
        text = " ".join(part for part in (problem.message(language), problem.hint(language)) if part)
        said = self._words("screen.warning", text=f"{text} [{problem.code}]")
        self._console.print(said, highlight=False, markup=False, soft_wrap=True)

    def finished(self, outcome: Outcome, test: Evaluation | None) -> None:
        name = outcome.cell.method if outcome.cell.model == "-" else f"{outcome.cell.method} ({outcome.cell.model})"
        line = self._result(outcome, test)
        self._console.print(f"  {name:<32} {line}", highlight=False, markup=False)
        sys.stderr.flush()

    def _result(self, outcome: Outcome, test: Evaluation | None) -> str:
        words = self._words
        if outcome.status != "done":
            return words(f"screen.{outcome.status}", reason=outcome.why(words.language))
        if test is None:
            return words("screen.unopened")
        summary = next(iter(test.summaries.values()))
        score = summary.metric
        if summary.value is not None and summary.low is not None and summary.high is not None:
            score += f" {summary.value:.3f} [{summary.low:.3f}, {summary.high:.3f}]"
        parts = [score, words("screen.made", n=f"{outcome.spent.seconds:.0f}")]
        if outcome.notes.get("converged") is False:
            parts.append(words("screen.not_converged"))
        return words.join(parts)
