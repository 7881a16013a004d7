"""The engine: a thread over an opened candidate that answers what waits together, by the one path of core/answer.py."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rung.core.answer import Opened, complete, finish, prepare
from rung.core.errors import BackendError
from rung.core.evaluation import Answer
from rung.core.model import Completion, Failure, Request
from rung.core.streaming import Streaming, stream
from rung.core.task import Example
from rung.serving.held import Held, can_stream
from rung.serving.waiting import WaitingLine

_log = logging.getLogger(__name__)

_PATIENCE, _LEAST, _MOST = 0.02, 0.001, 0.1
"""How long a batch may wait to be as large as is hoped: a share of the seconds that the last one took, in bounds of seconds."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question on its way to an engine. `changes` are fields of `Request` that the caller wants otherwise."""

    example: Example
    changes: Mapping[str, Any] = field(default_factory=dict)
    seen_by: frozenset[str] | None = None
    key: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a question. Without a request it never got as far as a prompt."""

    answer: Answer
    request: Request | None = None
    completion: Completion | None = None
    seconds_queue: float = 0.0
    seconds_engine: float = 0.0


class Job:
    """One question in an engine's hands. Made and awaited on the event loop; `cancelled` is read by the engine."""

    __slots__ = (
        "_engine",
        "_why",
        "ask",
        "cancelled",
        "created",
        "done",
        "held",
        "loop",
        "on_end",
        "on_text",
        "started",
    )

    def __init__(
        self,
        engine: Engine,
        ask: Ask,
        loop: asyncio.AbstractEventLoop,
        on_text: Callable[[str], None] | None,
        on_end: Callable[[Outcome], None] | None,
    ) -> None:
        self.ask = ask
        self.done: asyncio.Future[Outcome] = loop.create_future()
        self.on_text = on_text
        self.on_end = on_end
        self.held: Held | None = None
        self.cancelled = False
        self._why = "cancelled"
        self.created = self.started = time.monotonic()
        self._engine = engine
        self.loop = loop

    @property
    def tenant(self) -> str:
        return self.ask.tenant

    @property
    def key(self) -> str:
        return self.ask.key

    def give_up(self, kind: str) -> None:
        """Nobody waits for it any more (`cancelled`), or it took too long (`timeout`). On the event loop."""
        self.cancelled, self._why = True, kind
        outcome = self.failed()
        if self._engine.line.drop(self):
            self.end(outcome)
        else:
            # The engine puts it down soon, and says then what it took.
            self.resolve(outcome)

    def failed(self, failure: Failure | None = None) -> Outcome:
        """The outcome of a failure; without one, that it was given up."""
        failure = failure or Failure(self._why)
        finish = "cancelled" if failure.kind == "cancelled" else "error"
        now = time.monotonic()
        answer = Answer(self.ask.example.id, "", failure=failure, finish=finish)
        waited = (now if self.started == self.created else self.started) - self.created
        return Outcome(answer, seconds_queue=waited, seconds_engine=now - self.created - waited)

    def resolve(self, outcome: Outcome) -> None:
        if not self.done.done():
            self.done.set_result(outcome)

    def end(self, outcome: Outcome) -> None:
        self.resolve(outcome)
        if self.on_end is not None:
            self.on_end(outcome)
            self.on_end = None

    def show(self, text: str) -> None:
        if self.on_text is not None and not self.done.done():
            self.on_text(text)


class Engine:
    """Answers one batch at a time, or with `workers` above 1 one question a worker: for an endpoint, which batches by itself.

    `waiting` questions at most stand before it. A failure of the backend is an answer's failure; the thread goes on.
    """

    def __init__(self, opened: Opened, *, waiting: int = 256, batch: int = 16, workers: int = 1) -> None:
        self.opened = opened
        self.streams = can_stream(opened.candidate.output)
        """Whether answers come in pieces, where the model can."""
        self._can_stream = isinstance(opened.model, Streaming)
        self.line: WaitingLine[Job] = WaitingLine(waiting)
        self.batch = 1 if workers > 1 else batch
        self.seconds = 0.0
        """What a question took of late, in seconds of the engine; 0 before the first."""
        self._running = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, name=f"rung-engine-{n}", daemon=True) for n in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        return len(self.line) + self.line.spare

    @property
    def free(self) -> bool:
        """Whether it has nothing to do: a worker of it, where it has several."""
        return not len(self.line) and self._running < len(self._threads)

    @property
    def running(self) -> int:
        """Questions that the engine has taken and not put down: also those that nobody waits for any more."""
        return self._running

    def submit(
        self,
        ask: Ask,
        on_text: Callable[[str], None] | None = None,
        on_end: Callable[[Outcome], None] | None = None,
    ) -> Job:
        """Put a question into the queue, from the event loop. Raises `waiting.Full`.

        `on_text` gets pieces as they come; `on_end` the outcome once the engine has put it down, also where nobody waits.
        """
        job = Job(self, ask, asyncio.get_running_loop(), on_text, on_end)
        if on_text is not None and self.streams and "json_schema" not in ask.changes:
            job.held = Held(self.opened.candidate.output)
        self.line.put(job)
        return job

    def submit_spare(self, ask: Ask, on_end: Callable[[Outcome], None], after: Engine) -> Job:
        """A question that nobody waits for: taken when no other waits here, and `after` is free. Raises `waiting.Full`."""
        job = Job(self, ask, asyncio.get_running_loop(), None, on_end)
        self.line.put_spare(job, lambda: after.free)
        return job

    def expected_wait(self) -> float:
        """Seconds until whoever comes now would be answered, roughly."""
        return (len(self.line) + self._running) * self.seconds / max(1, len(self._threads))

    def close(self, seconds: float = 5.0) -> bool:
        """Answer what waits, then end; False where that takes longer."""
        self.line.close()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        hoped, patience = 1, 0.0
        while (jobs := self.line.take(self.batch, hoped=hoped, patience=patience)) is not None:
            if not jobs:
                continue
            now = time.monotonic()
            for job in jobs:
                job.started = now
            self._count(len(jobs))
            try:
                self._answer(jobs)
            except Exception:
                _log.exception("the engine could not answer %d questions", len(jobs))
                self._settle([(job, job.failed(Failure("error"))) for job in jobs])
            finally:
                self._count(-len(jobs))
            seconds = time.monotonic() - now
            took = seconds / len(jobs)
            self.seconds = 0.8 * self.seconds + 0.2 * took if self.seconds else took
            # Callers who were answered together ask again together. Whoever is first would else be answered alone, and all
            # others wait for that one.
            hoped, patience = len(self.line) + len(jobs), patience_after(seconds)

    def _count(self, n: int) -> None:
        with self._lock:
            self._running += n

    def _answer(self, jobs: Sequence[Job]) -> None:
        ready = self._ready(jobs)
        lone = len(ready) == 1
        apart = [pair for pair in ready if self._in_pieces(*pair, lone=lone)]
        self._together([pair for pair in ready if pair not in apart])
        for job, request in apart:
            self._piecewise(job, request)

    def _ready(self, jobs: Sequence[Job]) -> list[tuple[Job, Request]]:
        """Those that somebody still waits for, with what is put to the model."""
        self._settle([(job, job.failed()) for job in jobs if job.cancelled])
        alive = [job for job in jobs if not job.cancelled]
        groups: dict[frozenset[str] | None, list[Job]] = {}
        for job in alive:
            groups.setdefault(job.ask.seen_by, []).append(job)
        return [pair for seen_by, group in groups.items() for pair in self._prepared(group, seen_by)]

    def _in_pieces(self, job: Job, request: Request, *, lone: bool) -> bool:
        """Asked for in pieces; or alone, since only an answer in pieces can be stopped when nobody waits for it any more."""
        free = not request.choices and request.json_schema is None and not (request.found and request.found.abstain)
        return free and self._can_stream and (lone or job.held is not None)

    def _prepared(self, jobs: Sequence[Job], seen_by: frozenset[str] | None) -> list[tuple[Job, Request]]:
        try:
            requests = prepare(self.opened, [job.ask.example for job in jobs], seen_by=seen_by)
        except Exception as error:
            if len(jobs) > 1:
                # One question that breaks retrieval may not take the others with it.
                return [pair for job in jobs for pair in self._prepared([job], seen_by)]
            _log.warning("a question could not be prepared: %s", type(error).__name__, exc_info=True)
            self._settle([(jobs[0], jobs[0].failed(failure_of(error)))])
            return []
        return [(job, changed(request, job.ask.changes)) for job, request in zip(jobs, requests, strict=True)]

    def _together(self, pairs: Sequence[tuple[Job, Request]]) -> None:
        if not pairs:
            return
        try:
            completions = complete(self.opened, [request for _, request in pairs])
        except Exception as error:
            _log.warning("the model failed: %s", error, exc_info=not isinstance(error, BackendError))
            completions = [Completion(failure=failure_of(error), finish="error")] * len(pairs)
        self._settle([(job, self._outcome(job, r, c)) for (job, r), c in zip(pairs, completions, strict=True)])

    def _piecewise(self, job: Job, request: Request) -> None:
        completion: Completion | None = None
        try:
            for delta in stream(self.opened.model, request, lambda: job.cancelled):
                if delta.text and job.held is not None and (piece := job.held.take(delta.text)):
                    tell(job.loop, job.show, piece)
                completion = delta.completion or completion
        except Exception as error:
            _log.warning("the model failed: %s", error, exc_info=not isinstance(error, BackendError))
            completion = Completion(failure=failure_of(error), finish="error")
        if completion is None:
            completion = Completion(failure=Failure("garbage", "the answer broke off"), finish="error")
        self._settle([(job, self._outcome(job, request, completion))])

    def _outcome(self, job: Job, request: Request, completion: Completion) -> Outcome:
        if job.cancelled or completion.finish == "cancelled":
            failed = job.failed()
            counted = replace(failed.answer, tokens_in=completion.tokens_in, tokens_out=completion.tokens_out)
            return replace(failed, answer=counted, request=request, completion=completion)
        answer = finish(self.opened, job.ask.example, request, completion)
        waited = job.started - job.created
        return Outcome(answer, request, completion, waited, time.monotonic() - job.started)

    def _settle(self, outcomes: Sequence[tuple[Job, Outcome]]) -> None:
        """Hand outcomes to the event loop, all of one batch with one call."""
        loops: dict[asyncio.AbstractEventLoop, list[tuple[Job, Outcome]]] = {}
        for job, outcome in outcomes:
            loops.setdefault(job.loop, []).append((job, outcome))
        for loop, part in loops.items():
            tell(loop, _resolve_all, part)


def patience_after(seconds: float) -> float:
    """How long the batch after one of so many seconds may wait for callers; 0 where waiting would cost more than it gains."""
    patience = _PATIENCE * seconds
    return 0.0 if patience < _LEAST else min(_MOST, patience)


def changed(request: Request, changes: Mapping[str, Any]) -> Request:
    """A request as the caller wants it; the very same one where nothing is changed."""
    if not changes:
        return request
    return replace(
        request, **(dict(changes) | {"max_tokens": min(request.max_tokens, changes.get("max_tokens", 1 << 30))})
    )


def _resolve_all(outcomes: Sequence[tuple[Job, Outcome]]) -> None:
    for job, outcome in outcomes:
        job.end(outcome)


def tell(loop: asyncio.AbstractEventLoop, call: Callable[[Any], object], value: Any) -> None:
    try:
        loop.call_soon_threadsafe(call, value)
    except RuntimeError:
        _log.info("an answer came after the server had closed")


def failure_of(error: Exception) -> Failure:
    return Failure(
        "refused" if isinstance(error, BackendError) else "error", str(error) if isinstance(error, BackendError) else ""
    )
