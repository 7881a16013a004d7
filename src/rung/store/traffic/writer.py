"""Traces on their way into the database: taken at once, written in batches by a thread of their own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from rung.core.errors import BackendError, DataError, WriteError
from rung.store.traffic.database import Traffic
from rung.store.traffic.records import Feedback, Trace

BATCH = 200
WAIT = 0.5
"""Seconds that a trace waits for others at most."""
ROOM = 20_000
"""Traces that wait while the database does not take any; beyond that, new ones are counted and dropped."""
_LONGEST_PAUSE = 30.0
_BACKUP_LOOK = 600.0
"""Seconds after which it is looked whether a backup is due."""


class Sink(Protocol):
    """Somebody else who wants every trace, such as `monitoring.spans.SpanSink`. Called by the writer's thread."""

    def add(self, trace: Trace) -> None: ...

    def close(self) -> None: ...


class TraceWriter:
    """`add` neither blocks nor raises: an answer never waits for its trace, and never fails by it.

    `written`, `dropped` and `failed` count traces since the start; `trouble` is the last refusal of the database.
    """

    def __init__(self, traffic: Traffic, sinks: Sequence[Sink] = (), *, room: int = ROOM) -> None:
        self._traffic, self._sinks, self._room = traffic, tuple(sinks), room
        self._waiting: deque[Trace] = deque()
        self._change = threading.Condition()
        self._wanted = 0
        """Up to which trace, counted from the start, somebody waits for the writing."""
        self._taken = 0
        self._settled = 0
        self._closing = self._given_up = False
        self.written = 0
        self.dropped = 0
        """Never kept: there was no room, or the writer was closed while the database refused."""
        self.failed = 0
        """Refused by the database for what they hold."""
        self.untold = 0
        """Kept, but refused by a sink."""
        self.trouble = ""
        self._thread = threading.Thread(target=self._work, name="rung-traces", daemon=True)
        self._thread.start()

    def add(self, trace: Trace) -> None:
        with self._change:
            if self._closing or len(self._waiting) >= self._room:
                self.dropped += 1
                return
            self._waiting.append(trace)
            self._taken += 1
            if len(self._waiting) in {1, BATCH}:
                self._change.notify_all()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all that was added before is written; False where that took longer."""
        with self._change:
            self._wanted = goal = max(self._wanted, self._taken)
            self._change.notify_all()
            return self._change.wait_for(lambda: self._settled >= goal, timeout)

    def add_feedback(self, feedback: Feedback) -> None:
        """As `Traffic.add_feedback`; the trace may still be on its way, so that its word may come as soon as its answer."""
        try:
            self._traffic.add_feedback(feedback)
        except DataError:
            self.flush()
            self._traffic.add_feedback(feedback)

    def close(self, timeout: float = 30.0) -> None:
        """Write the rest; what the database has not taken after `timeout` seconds is counted as dropped."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        self._thread.join(timeout)
        with self._change:
            self._given_up = True
            self.dropped += len(self._waiting)
            self._waiting.clear()
        for sink in self._sinks:
            try:
                sink.close()
            except Exception as error:
                self.trouble = f"{type(error).__name__}: {error}"

    def _work(self) -> None:
        pause, looked = 0.0, time.monotonic()
        while True:
            batch = self._next()
            if batch is None:
                return
            if batch and not self._keep(batch):
                pause = min(_LONGEST_PAUSE, max(WAIT, pause * 2))
                with self._change:
                    if self._change.wait_for(lambda: self._closing, pause):
                        return
                continue
            pause = 0.0
            with self._change:
                if self._given_up:
                    return
                for _ in batch:
                    self._waiting.popleft()
                self._settled += len(batch)
                self._change.notify_all()
            for sink in self._sinks:
                self._tell(sink, batch)
            if time.monotonic() - looked > _BACKUP_LOOK:
                looked = time.monotonic()
                self._back_up()

    def _next(self) -> list[Trace] | None:
        """The traces that are to be written now, left where they are; None when there will be none."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closing, _BACKUP_LOOK)
            if self._closing and not self._waiting:
                return None
            if self._waiting:
                self._change.wait_for(self._pressed, WAIT)
            return list(islice(self._waiting, BATCH))

    def _pressed(self) -> bool:
        return len(self._waiting) >= BATCH or self._closing or self._wanted > self._settled

    def _keep(self, batch: Sequence[Trace]) -> bool:
        """Whether the database is done with these. One that it cannot hold is counted, and keeps no other out."""
        try:
            unfit = self._unfit(batch)
        except (BackendError, WriteError) as error:
            self.trouble = error.problems[0].message()
            return False
        self.failed += unfit
        self.written += len(batch) - unfit
        return True

    def _unfit(self, batch: Sequence[Trace]) -> int:
        """Write traces; how many of them the database cannot hold."""
        try:
            self._traffic.add_traces(batch)
        except (BackendError, WriteError):
            raise
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
            return 1 if len(batch) == 1 else sum(self._unfit([trace]) for trace in batch)
        return 0

    def _tell(self, sink: Sink, batch: Sequence[Trace]) -> None:
        for trace in batch:
            try:
                sink.add(trace)
            except Exception as error:
                self.untold += 1
                self.trouble = f"{type(error).__name__}: {error}"

    def _back_up(self) -> None:
        try:
            self._traffic.back_up_when_due()
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
