"""What all routes share: who answers, how much is allowed, where traces go, and whether the server still takes work."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from rung.core.answer import create_encoder
from rung.core.model import Encoder, Request
from rung.core.steps import guarded
from rung.serving.door import KeyBook
from rung.serving.engine import Outcome
from rung.serving.gauges import Gauges
from rung.serving.hosting import USUAL_ENCODER, Hosted
from rung.serving.limits import Limits
from rung.serving.minute import SharedMinute
from rung.serving.questions import Question
from rung.serving.refusals import of_failure, overloaded
from rung.store.traffic.records import Feedback, Key, Role, Trace

_log = logging.getLogger(__name__)
_LETTING_GO = 3.0


@dataclass(frozen=True)
class Settings:
    """Limits of a server."""

    seconds: float = 120.0
    """For one answer, waiting included."""
    body_bytes: int = 1 << 19
    body_seconds: float = 10.0
    head_seconds: float = 10.0
    """For the head of a request to arrive, on a new connection or one kept alive."""
    send_seconds: float = 15.0
    """For a reader to take more of an answer, before the connection is cut."""
    idle_seconds: float = 15.0
    connections: int = 2048
    at_once: int = 64
    """Requests of one key under way at the same time."""
    embeddings_waiting: int = 64
    grace: float = 30.0
    """For answers under way, once the server has been asked to stop."""


SETTINGS = Settings()


@dataclass(frozen=True, slots=True)
class Picked:
    """Who answers a request, and in which role."""

    hosted: Hosted
    role: Role


class Desk(Protocol):
    """Who answers a request: one candidate, or a champion with a challenger."""

    def pick(self, request: str, session: str = "") -> Picked:
        """By the session, where a caller names one, else by the request's own number: the same one gets the same candidate."""
        ...

    def shadow(self, request: str, session: str = "") -> Hosted | None:
        """Who answers the same in secret."""
        ...

    @property
    def champion(self) -> Hosted: ...

    def close(self, seconds: float) -> bool: ...


class OneDesk:
    """A desk with one candidate."""

    def __init__(self, hosted: Hosted) -> None:
        self.champion = hosted

    def pick(self, request: str, session: str = "") -> Picked:
        return Picked(self.champion, "champion")

    def shadow(self, request: str, session: str = "") -> Hosted | None:
        return None

    def close(self, seconds: float) -> bool:
        return self.champion.close(seconds)


class Traces(Protocol):
    """Where traces go; neither blocks nor raises. `store.traffic.writer.TraceWriter` is one."""

    def add(self, trace: Trace) -> None: ...

    def add_feedback(self, feedback: Feedback) -> None: ...


class Book(Protocol):
    """The part of `store.traffic.database.Traffic` that a server reads."""

    def find_key(self, secret: str) -> Key | None: ...

    def spent(self, key: str, since: datetime) -> int: ...


@dataclass(frozen=True)
class Call:
    """One HTTP request."""

    id: str
    route: str
    key: Key
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Way:
    """How a question goes: through whom, as what, changed how."""

    picked: Picked
    question: Question
    changes: Mapping[str, Any]
    ignored: tuple[str, ...] = ()
    streamed: bool = False
    session: str = ""
    """The person or conversation, as the caller names it: answered by one candidate as long as a trial lasts."""

    @property
    def hosted(self) -> Hosted:
        return self.picked.hosted


class Service:
    """One server's shared state. Lives on the event loop's thread."""

    def __init__(
        self,
        desk: Desk,
        *,
        book: Book | None = None,
        traces: Traces | None = None,
        keys: bool = True,
        settings: Settings = SETTINGS,
        name: str = "",
        minute: SharedMinute | None = None,
    ) -> None:
        """`keys=False` lets everybody in. `name`: what callers call the model, besides the candidate's own id. `minute`: where
        requests are counted together with other processes of the same server.
        """
        if keys and book is None:
            raise ValueError("keys need a book of keys")
        self.desk = desk
        self.traces = traces
        self.settings = settings
        self.name = name or desk.champion.run
        self.keys = KeyBook(book.find_key) if keys and book is not None else None
        self.gauges = Gauges()
        self.draining = False
        self.calls = 0
        """Requests for an answer that are under way."""
        self.under_way: dict[str, Callable[[str], None]] = {}
        """By the request's number, how to give its answers up, with the kind of failure."""
        spent = None if book is None else _spent_today(book)
        self.limits = Limits(at_once=settings.at_once, spent=spent, minute=minute)
        self._encoder: Encoder | None = None
        self._encoding = ThreadPoolExecutor(1, thread_name_prefix="rung-embeddings")
        self._embedding = 0
        self.gauges.watch("rung_waiting", "Questions that wait for an engine", lambda: desk.champion.engine.waiting)
        self.gauges.watch("rung_running", "Questions that an engine has taken", lambda: desk.champion.engine.running)
        self.gauges.watch("rung_processes", "Processes that take questions", lambda: not self.draining)
        self.gauges.watch("rung_calls", "Requests for an answer under way", lambda: self.calls)
        if traces is not None:
            self.gauges.watch("rung_traces_dropped", "Traces not kept", lambda: getattr(traces, "dropped", 0))

    @property
    def ready(self) -> bool:
        return not self.draining

    def names(self) -> tuple[str, ...]:
        """What a caller may name as the model."""
        return (self.name, self.desk.champion.name, "rung")

    async def admit(self, key: Key) -> None:
        """Count a request for an answer in; `dismiss` must follow. Raises Refusal 503 or 429."""
        if self.draining:
            raise overloaded(2, "This server is being stopped.")
        if self.limits.stale(key):
            await asyncio.to_thread(self.limits.refresh, key)
        self.limits.enter(key)
        self.calls += 1

    def dismiss(self, key: Key) -> None:
        self.limits.leave(key)
        self.calls -= 1

    async def embed(self, texts: list[str]) -> Any:
        """float32 [n, d]. Raises Refusal 503 where too many wait."""
        if self._embedding >= self.settings.embeddings_waiting:
            raise overloaded(2)
        self._embedding += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._encoding, self._encode, texts)
        finally:
            self._embedding -= 1

    def _encode(self, texts: list[str]) -> Any:
        return self.encoder.encode(texts)

    @property
    def encoder(self) -> Encoder:
        """The champion's own, else the usual one; loaded when it is first asked for."""
        own = self.desk.champion.encoder
        if own is not None:
            return own
        if self._encoder is None:
            self._encoder = create_encoder(USUAL_ENCODER)
        return self._encoder

    def record(self, call: Call, way: Way, number: str, outcome: Outcome, *, parent: str = "") -> None:
        """Keep what became of one answer; called once for each, also where nobody waited for it any more."""
        answer, failure = outcome.answer, outcome.answer.failure
        total = outcome.seconds_queue + outcome.seconds_engine if parent else time.monotonic() - call.started
        tokens = answer.tokens_in + answer.tokens_out
        gauges = self.gauges
        gauges.answers.labels(way.picked.role).inc()
        gauges.tokens.labels("in").inc(answer.tokens_in)
        gauges.tokens.labels("out").inc(answer.tokens_out)
        if failure is not None:
            gauges.failures.labels(failure.kind).inc()
        if not parent:
            gauges.queued.observe(outcome.seconds_queue)
            gauges.seconds.labels(call.route).observe(total)
            self.limits.spend(call.key, tokens)
        if self.traces is not None:
            self.traces.add(trace_of(call, way, number, outcome, total, parent))

    def close(self) -> bool:
        """Let the engines go; False where one of them did not end in time. What was to be waited for has been waited for."""
        self._encoding.shutdown(wait=False, cancel_futures=True)
        return self.desk.close(min(_LETTING_GO, self.settings.grace))


def trace_of(call: Call, way: Way, number: str, outcome: Outcome, total: float, parent: str = "") -> Trace:
    answer, failure, request = outcome.answer, outcome.answer.failure, outcome.request
    hosted = way.hosted
    changes = [f"changed: {name}" for name in sorted(way.changes)] + [f"ignored: {name}" for name in way.ignored]
    return Trace(
        id=number,
        at=call.at,
        route=call.route,
        run=hosted.run,
        candidate=hosted.name,
        role="shadow" if parent else way.picked.role,
        parent=parent,
        key=call.key.id,
        tenant=call.key.tenant,
        prompt_hash=prompt_hash(request) if request is not None else "",
        inputs=way.question.inputs,
        history=way.question.history,
        answer=answer.text,
        raw="" if guarded(answer.notes) else answer.raw,
        failure=failure.kind if failure else "",
        finish=answer.finish,
        status=200
        if failure is None or answer.shown or failure.kind == "content_filter"
        else of_failure(failure).status,
        passages=answer.passages,
        index=hosted.index,
        shots=answer.shots,
        citations=answer.citations,
        confidence=answer.confidence,
        tokens_in=answer.tokens_in,
        tokens_out=answer.tokens_out,
        seconds_queue=outcome.seconds_queue,
        seconds_engine=outcome.seconds_engine,
        seconds_total=total,
        money=answer.money,
        streamed=way.streamed,
        cancelled=failure is not None and failure.kind == "cancelled",
        flags=(*answer.notes, *changes),
        served_by=answer.served_by,
        consent=way.question.consent,
        signal=request.found.signal if request is not None and request.found is not None else None,
    )


def prompt_hash(request: Request) -> str:
    """SHA-256 of the rendered messages: equal hashes mean that the model was shown the same, byte for byte."""
    said = [[message.role, message.text] for message in request.messages]
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _spent_today(book: Book) -> Callable[[str], int]:
    return lambda key: book.spent(key, datetime.now(UTC) - timedelta(days=1))
