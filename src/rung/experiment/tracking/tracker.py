"""Sends what happens in a run to where it is watched, from a thread of its own: the run never waits for a server."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from rung.core.durable import write_json
from rung.core.errors import InterruptedRun, Problem
from rung.core.evaluation import Evaluation
from rung.core.hashing import hash_json
from rung.core.lock import folder_lock
from rung.core.method import Progress
from rung.experiment.session import Watcher
from rung.experiment.tracking.events import Event, event, outcome_events, run_event, step_event
from rung.experiment.tracking.queue import FOLDER, Queue
from rung.experiment.tracking.targets import Targets
from rung.experiment.tracking.to_mlflow import MLflow
from rung.experiment.tracking.to_tensorboard import TensorBoard
from rung.methods.watching import Moment, Watching
from rung.store.records import Cell, Outcome, Plan
from rung.store.runs import RunFolder

_EVERY = 1.0
"""Seconds between looks at what has come in."""
_AGAIN = 30.0
"""Seconds after which a server that was down is tried again."""


class Receiver(Protocol):
    """Something that figures are sent to. `send` raises when it cannot be reached; the events are then sent again later."""

    name: str

    def send(self, events: Sequence[Event]) -> None: ...
    def close(self) -> None: ...


@runtime_checkable
class Warned(Protocol):
    """A watcher that can be told of trouble that does not stop the run."""

    def warned(self, problem: Problem) -> None: ...


def receivers(targets: Targets, run: Path, queue: Queue) -> list[Receiver]:
    found: list[Receiver] = []
    if targets.tensorboard:
        found.append(TensorBoard(Path(os.path.normpath(run / targets.tensorboard)), run))
    if targets.mlflow:
        found.append(MLflow(targets.mlflow, targets.experiment, run, queue))
    return found


class Tracker:
    """Keeps events in the run's queue and forwards them. Used from any thread; it alone touches the queue and the receivers."""

    def __init__(self, run: Path, targets: Targets, warn: Callable[[Problem], None] = lambda problem: None) -> None:
        self._run, self._warn = run, warn
        self._queue = Queue(run)
        self._receivers = receivers(targets, run, self._queue)
        self._new: list[Event] = []
        self._said = {_said(event) for event in self._queue.events}
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._silent_until: dict[str, float] = {}
        self._warned: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="rung-tracking", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def tell(self, events: Sequence[Event]) -> None:
        with self._lock:
            self._new += events

    def finish(self) -> dict[str, int]:
        """Send what is there, trying every receiver once more, and say how much each has still to get."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._silent_until.clear()
        self._forward()
        left = {receiver.name: self._queue.left(receiver.name) for receiver in self._receivers}
        for receiver in self._receivers:
            receiver.close()
            if left[receiver.name]:
                values = {"n": left[receiver.name], "name": receiver.name, "run": self._run.name}
                self._warn(Problem("E4741", values={**values, "path": self._queue.path}))
        return left

    def _work(self) -> None:
        while not self._ending.wait(_EVERY):
            self._forward()

    def _forward(self) -> None:
        with self._lock:
            events, self._new = self._new, []
        self._queue.add([event for event in events if not self._known(event)])
        for receiver in self._receivers:
            if time.monotonic() >= self._silent_until.get(receiver.name, 0.0):
                self._empty(receiver)

    def _known(self, event: Event) -> bool:
        """Whether the same was said before: a run that goes on tells again what became of its finished rungs."""
        if event["kind"] in {"step", "file"}:
            return False
        said = _said(event)
        known = said in self._said
        self._said.add(said)
        return known

    def _empty(self, receiver: Receiver) -> None:
        while waiting := self._queue.waiting(receiver.name):
            try:
                receiver.send(waiting)
            # Whatever a server or its client does must not end a training; the queue keeps what was not taken.
            except Exception as error:
                self._silent_until[receiver.name] = time.monotonic() + _AGAIN
                if receiver.name not in self._warned:
                    self._warned.add(receiver.name)
                    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
                    values = {"name": receiver.name, "reason": reason, "path": self._queue.path}
                    self._warn(Problem("E4740", values=values))
                return
            self._queue.arrived(receiver.name, len(waiting))


def _said(event: Event) -> str:
    return hash_json({name: value for name, value in event.items() if name != "at"})


class TrackedProgress:
    """A bar that also passes on what it is told of a training."""

    def __init__(self, inner: Progress, tracker: Tracker, cell: Cell) -> None:
        self._inner, self._tracker, self._cell = inner, tracker, cell

    def update(self, done: float, total: float, note: str = "") -> None:
        self._inner.update(done, total, note)

    def record(self, moment: Moment) -> None:
        if isinstance(self._inner, Watching):
            self._inner.record(moment)
        else:
            self._inner.update(moment.part.begins + moment.part.takes * moment.share, 1.0, moment.note)
        self._tracker.tell([step_event(self._cell, moment)])


class TrackedRun:
    """A watcher that passes on to another what it is told, and to the tracker what is worth a curve."""

    def __init__(self, inner: Watcher, tracker: Tracker) -> None:
        self._inner, self._tracker = inner, tracker

    def reading(self) -> Progress:
        return self._inner.reading()

    def planned(self, plan: Plan, run: RunFolder) -> None:
        self._inner.planned(plan, run)
        self._tracker.tell([run_event(plan, run.path.name)])

    def started(self, cell: Cell) -> Progress:
        return TrackedProgress(self._inner.started(cell), self._tracker, cell)

    def finished(self, outcome: Outcome, test: Evaluation | None) -> None:
        self._inner.finished(outcome, test)
        self._tracker.tell(outcome_events(outcome, test))


@contextmanager
def tracked(watcher: Watcher, run: Path, targets: Targets) -> Iterator[Watcher]:
    """The watcher, its run tracked while the block lasts; the watcher itself where nothing is asked for."""
    if not targets.named:
        yield watcher
        return
    write_json(run / FOLDER / "targets.json", targets.to_json())
    tracker = Tracker(run, targets, watcher.warned if isinstance(watcher, Warned) else lambda problem: None)
    tracker.start()
    try:
        yield TrackedRun(watcher, tracker)
    finally:
        tracker.finish()


def send_report(
    run: Path, paths: Sequence[Path], warn: Callable[[Problem], None] = lambda problem: None
) -> dict[str, int]:
    """Send a run's report to where the run was tracked, and all that still waits; how many events each has still to get.

    Does nothing while another process works on the run: that one sends its own.
    """
    state = Queue(run).read("targets")
    if not Targets(**state).named:
        return {}
    try:
        with folder_lock(run):
            tracker = Tracker(run, Targets(**state), warn)
            tracker.tell([event("file", path=path.name) for path in paths])
            tracker.tell([event("end", status="done")])
            return tracker.finish()
    except InterruptedRun:
        return {}
