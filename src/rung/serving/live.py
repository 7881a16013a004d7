"""An engine over a model that answers several questions at once and takes new ones in while it does: continuous batching."""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections.abc import Iterable, Sequence
from typing import cast

from rung.core.errors import BackendError
from rung.core.model import Completion, Failure, Request
from rung.core.streaming import Delta, Live
from rung.serving.engine import Engine, Job, failure_of, patience_after, tell

_log = logging.getLogger(__name__)


class LiveEngine(Engine):
    """At most `batch` questions are under way; each that ends makes room for the next, whatever the others do."""

    def _run(self) -> None:
        model = cast(Live, self.opened.model)
        numbers = itertools.count()
        under_way: dict[str, tuple[Job, Request]] = {}
        told: set[str] = set()
        hoped, patience = 1, 0.0
        while True:
            room = self.batch - len(under_way)
            jobs = self.line.take(room, wait=not under_way, hoped=hoped, patience=0.0 if under_way else patience)
            if jobs is None and not under_way:
                return
            begun = time.monotonic()
            try:
                for job, request in self._admitted(jobs or ()):
                    name = str(next(numbers))
                    under_way[name] = (job, request)
                    model.begin(name, request)
                for name, (job, _) in under_way.items():
                    if job.cancelled and name not in told:
                        told.add(name)
                        model.cancel(name)
                deltas = model.step() if under_way else []
            except Exception as error:
                _log.warning("the model failed: %s", error, exc_info=not isinstance(error, BackendError))
                failed = Completion(failure=failure_of(error), finish="error")
                deltas = [(name, Delta("", failed)) for name in under_way]
                self._abandon(model, under_way)
            ran = len(under_way)
            for name, delta in deltas:
                self._take(name, delta, under_way, told)
            # As in `Engine`: labels are chosen for all at once.
            hoped, patience = len(self.line) + ran - len(under_way), patience_after(time.monotonic() - begun)

    def _admitted(self, jobs: Sequence[Job]) -> list[tuple[Job, Request]]:
        """The questions that go to the model one by one; what needs no model is answered here."""
        if not jobs:
            return []
        now = time.monotonic()
        for job in jobs:
            job.started = now
        self._count(len(jobs))
        ready = self._ready(jobs)
        at_once = [pair for pair in ready if pair[1].found and pair[1].found.abstain]
        self._together(at_once)
        going = [pair for pair in ready if pair not in at_once]
        self._count(len(going) - len(jobs))
        return going

    def _abandon(self, model: Live, names: Iterable[str]) -> None:
        """Have a model that failed at a step put down what it still holds."""
        for name in names:
            with contextlib.suppress(Exception):
                model.cancel(name)

    def _take(self, name: str, delta: Delta, under_way: dict[str, tuple[Job, Request]], told: set[str]) -> None:
        if name not in under_way:
            return
        job, request = under_way[name]
        if delta.text and job.held is not None and (piece := job.held.take(delta.text)):
            tell(job.loop, job.show, piece)
        if delta.completion is None:
            return
        took = (time.monotonic() - job.started) / len(under_way)
        self.seconds = 0.8 * self.seconds + 0.2 * took if self.seconds else took
        del under_way[name]
        told.discard(name)
        self._count(-1)
        try:
            outcome = self._outcome(job, request, delta.completion)
        except Exception:
            _log.exception("an answer could not be finished")
            outcome = job.failed(Failure("error"))
        self._settle([(job, outcome)])
