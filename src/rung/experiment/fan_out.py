"""Rungs of a plan made at the same time, on a Ray cluster or on this machine's cores; evaluated afterwards, one by one, as ever.

A worker is told paths and names only: it reads the task anew and writes its candidate into the same run folder, which must therefore
lie where all machines see it. What was finished when something stopped is not made again.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.core.method import Silent, Workers
from rung.experiment.adapt import adapt
from rung.experiment.limits import Limits
from rung.experiment.meter import PeakMemory
from rung.experiment.plan import is_trained, open_bench
from rung.experiment.session import Session, Unwatched
from rung.experiment.setup import prepare
from rung.methods.named import hints_of, method_named
from rung.methods.trainings import trains_often
from rung.store.records import Cell, Plan
from rung.store.runs import RunFolder


@dataclass(frozen=True)
class Order:
    """One rung to make, in plain values that any machine can read."""

    task_file: str
    run: str
    cell: dict[str, Any]
    limits: dict[str, Any]
    spent: float
    """Seconds that the run has taken before."""
    shares: int
    """Rungs that are made one after another: the time left is split among so many."""


def make_apart(order: Order) -> str:
    """A worker's task. Returns the outcome's status; the candidate and the outcome are on disk by then."""
    limits = Limits(**order.limits)
    prepared = limits.applied(prepare(Path(order.task_file)))
    run = RunFolder(Path(order.run))
    cell = Cell.model_validate(order.cell)
    bench = open_bench(prepared, run.path)
    with PeakMemory().watching() as memory:
        session = Session(
            Path(order.task_file), prepared, run, bench, (), Unwatched(), memory, "compare", limits,
            spent_before=order.spent,
        )  # fmt: skip
        outcome = adapt(session, cell, [cell] * order.shares, Silent(), None)
    if outcome.status != "done":
        run.write_outcome(outcome)
    return outcome.status


def cells_apart(session: Session, plan: Plan) -> list[Cell]:
    """Rungs to make at the same time: those on a local model that are not made yet, unless there is but one.

    Endpoints are left to this process, which keeps their account. So is a rung of several trainings: it hands these to workers, none of
    which then waits for another.
    """
    cells = [cell for cell in _open_cells(session, plan) if not is_repeated(session, cell)]
    return cells if len(cells) > 1 else []


def fan_out(session: Session, plan: Plan, workers: Workers) -> None:
    """Make the rungs that can be made at the same time."""
    cells = cells_apart(session, plan)
    repeated = [cell for cell in _open_cells(session, plan) if is_repeated(session, cell)]
    # Time is left for those that come afterwards.
    shares = math.ceil(len(cells) / workers.count()) + len(repeated)
    orders = [
        Order(
            str(session.task_file.resolve()),
            str(session.run.path.resolve()),
            cell.model_dump(mode="json"),
            {name: value for name, value in asdict(session.limits).items() if name != "on"},
            session.spent_before + session.watch.seconds,
            shares,
        )
        for cell in cells
    ]
    progress = session.watcher.reading()
    progress.update(0, len(orders), f"{len(orders)} rungs on {workers.count()} workers")
    for done, (place, status) in enumerate(workers.carry_out(make_apart, orders), 1):
        progress.update(done, len(orders), f"{orders[place].cell['method']}: {status}")


def is_repeated(session: Session, cell: Cell) -> bool:
    """Whether a rung consists of several trainings, which can be made at the same time."""
    hints = hints_of(session.prepared.config.settings, cell.method)
    return is_trained(method_named(cell.method)) and trains_often(hints)


def _open_cells(session: Session, plan: Plan) -> list[Cell]:
    return [cell for cell in plan.cells if not cell.blockers and _is_open(session, cell)]


def _is_open(session: Session, cell: Cell) -> bool:
    if session.bench.of(cell).ref.options.get("base_url"):
        return False
    outcome = session.run.read_outcome(cell)
    return outcome is None or outcome.status not in {"done", "skipped"}
