"""Rungs of a plan made at the same time, on a Ray cluster or on this machine's cores; evaluated afterwards, one by one, as ever.

A worker is told paths and names only: it reads the task anew and writes its candidate into the same run folder, which must therefore
lie where all machines see it. What was finished when something stopped is not made again.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from rung.core.errors import BackendError, UsageError
from rung.core.method import Silent
from rung.experiment.adapt import adapt
from rung.experiment.limits import Limits
from rung.experiment.meter import PeakMemory
from rung.experiment.plan import open_bench
from rung.experiment.session import Session, Unwatched
from rung.experiment.setup import prepare
from rung.store.records import Cell, Plan
from rung.store.runs import RunFolder

LOCAL = "ray"
"""The address of a cluster that is started on this machine for one run."""


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
    """Rungs that one worker makes one after another: the time left is split among so many."""


class Workers(Protocol):
    """Where orders are carried out."""

    def count(self) -> int:
        """How many at the same time."""
        ...

    def carry_out(self, orders: Sequence[Order]) -> Iterator[tuple[Order, str]]:
        """Each order with its outcome's status as it is done, in any order."""
        ...


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


def fan_out(session: Session, plan: Plan, workers: Workers) -> None:
    """Make every rung that is not made yet on a local model; endpoints are left to this process, which keeps their account."""
    cells = [cell for cell in plan.cells if not cell.blockers and _is_open(session, cell)]
    if len(cells) < 2:
        return
    shares = math.ceil(len(cells) / workers.count())
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
    for done, (order, status) in enumerate(workers.carry_out(orders), 1):
        progress.update(done, len(orders), f"{order.cell['method']}: {status}")


def _is_open(session: Session, cell: Cell) -> bool:
    if session.bench.of(cell).ref.options.get("base_url"):
        return False
    outcome = session.run.read_outcome(cell)
    return outcome is None or outcome.status not in {"done", "skipped"}


@contextmanager
def workers_on(address: str) -> Iterator[Workers]:
    """Workers of a Ray cluster: `ray` starts one on this machine, `ray://HOST:PORT` joins one.

    Raises UsageError E1315 for another address, E1316 without the package, BackendError E3060 when the cluster does not answer.
    """
    if address != LOCAL and not address.startswith("ray://"):
        raise UsageError("E1315", value=address)
    # Nothing is reported to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError("E1316") from error
    arguments: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        arguments |= {"include_dashboard": False}
    else:
        arguments |= {"address": address}
    try:
        ray.init(**arguments)
    except Exception as error:
        # Ray's own exceptions for a cluster that is not there have no common parent.
        raise BackendError("E3060", address=address, reason=str(error).split("\n")[0][:200]) from error
    try:
        yield _Ray(ray)
    finally:
        ray.shutdown()


class _Ray:
    """Orders as Ray tasks: a core each, and a GPU where the cluster has some."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        found = ray.cluster_resources()
        self._gpus = int(found.get("GPU", 0))
        self._count = max(1, self._gpus or int(found.get("CPU", 1)))

    def count(self) -> int:
        return self._count

    def carry_out(self, orders: Sequence[Order]) -> Iterator[tuple[Order, str]]:
        needs: dict[str, Any] = {"num_cpus": 1, "max_retries": 1}
        if self._gpus:
            needs["num_gpus"] = 1
        task: Callable[..., Any] = self._ray.remote(**needs)(make_apart).remote
        waiting = {task(order): order for order in orders}
        while waiting:
            done, _ = self._ray.wait(list(waiting), num_returns=1)
            order = waiting.pop(done[0])
            yield order, self._ray.get(done[0])
