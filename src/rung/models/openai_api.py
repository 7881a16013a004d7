"""The `openai` backend: any OpenAI-compatible endpoint (vLLM, SGLang, Ollama, llama.cpp, DeepSeek, Qwen, ...)."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rung.core.candidate import AdapterSlot
from rung.core.errors import BackendError
from rung.core.hashing import seed_from
from rung.core.model import Capabilities, Completion, ModelRef, Request
from rung.core.streaming import Delta, never
from rung.models.endpoint import Endpoint, Reply, Unanswered
from rung.models.openai_reply import Outcome, read_reply
from rung.models.openai_request import check_options, rough_tokens, write_request
from rung.models.openai_stream import StreamedReply
from rung.models.pacing import Breaker, Gate, asked_wait

_log = logging.getLogger(__name__)
_ABOUT_ONE_QUESTION = frozenset({"empty", "content_filter", "too_long"})
"""Failures that say nothing about the endpoint's health."""
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Clock:
    """Where the date, waiting and chance come from; tests put in their own."""

    now: Callable[[], float] = time.time
    """Unix time in seconds, for a `Retry-After` that is a date."""
    sleep: Callable[[float], object] | None = None
    """None: a wait that ends early when the batch does."""
    draw: Callable[[], float] | None = None
    """Uniform in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Done:
    """A finished request: its place in the batch, and what came of it."""

    index: int
    completion: Completion


@dataclass(frozen=True)
class _Signals:
    """How a batch is told to end."""

    stop: threading.Event = field(default_factory=threading.Event)
    """Send nothing new; what is on its way may still bring an answer."""
    drop: threading.Event = field(default_factory=threading.Event)
    """Nobody waits for the answers any more."""


class OpenAIModel:
    """Asks `<base_url>/chat/completions`, several requests at once. The options are the fields of `Options`, as plain values.

    It cannot be held to `choices`: it generates, and a step matches the label. `Completion.seconds` is the last attempt's
    time, without the waits between attempts. Tokens and money are those the endpoint reports, also for an answer that is of
    no use; for an answer without a report they are estimated, with one warning. An attempt that got no answer (a timeout, a
    5xx) counts none.

    Raises BackendError where asking on is of no use: E3102 `outage_after` requests failed in a row, E3103 the key is refused,
    E3104 no such model, E3105 no money left; E3106 for wrong options; and what `Endpoint` raises.
    """

    def __init__(self, id: str, *, clock: Clock | None = None, **options: Any) -> None:
        self._options = check_options(options)
        self._endpoint = Endpoint(self._options.base_url, self._options.api_key_env, self._options.deadlines)
        kept = self._options.model_dump(mode="json", exclude_defaults=True)
        self.ref = ModelRef(kind="openai", id=id, engine="openai-api", options=kept)
        self.capabilities = Capabilities(
            json_schema="response_format" not in self._options.body, context_tokens=self._options.context_tokens
        )
        self._gate = Gate(self._options.pacing.concurrency)
        self._breaker = Breaker(self._options.pacing.outage_after)
        self._clock = clock or Clock()
        # Two processes must not come back at the same moment, so the process is one of the names.
        self._draw = self._clock.draw or random.Random(seed_from("pacing", os.getpid())).random
        self._names: list[str] = []
        self._uncounted = threading.Event()
        self._warned_uncounted = False

    @classmethod
    def open(cls, ref: ModelRef, *, adapter: AdapterSlot | None = None, folder: Path | None = None) -> OpenAIModel:
        """The model of a record. Raises BackendError E3108 for an adapter: an endpoint cannot be handed weights."""
        if adapter is not None:
            raise BackendError("E3108", model=ref.id)
        return cls(ref.id, **ref.options)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides an answer; pacing, deadlines and prices do not."""
        kept = self._options.model_dump(mode="json", include={"base_url", "body", "limit_field"})
        return {"kind": self.ref.kind, "id": self.ref.id, **kept}

    def close(self) -> None:
        """Close idle connections; happens by itself when the model goes."""
        self._endpoint.close()

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        done = sorted(self.generate_each(requests), key=lambda each: each.index)
        return [each.completion for each in done]

    def generate_each(self, requests: Sequence[Request]) -> Iterator[Done]:
        """Answers as they come, in any order, so that a caller can keep each one at once.

        When the run must stop (BackendError), the answers already paid for are handed out before the error.
        """
        if not requests:
            return
        signals = _Signals()
        workers = min(self._options.pacing.concurrency, len(requests))
        pool = ThreadPoolExecutor(workers, thread_name_prefix="rung-openai")
        try:
            places = {pool.submit(self._ask, request, signals): index for index, request in enumerate(requests)}
            yield from self._collect(places)
        finally:
            signals.stop.set()
            signals.drop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _collect(self, places: dict[Future[Completion | None], int]) -> Iterator[Done]:
        fatal: BackendError | None = None
        for future in as_completed(places):
            try:
                completion = future.result()
            except BackendError as error:
                fatal = fatal or error
                continue
            if completion is not None and (fatal is None or completion.failure is None):
                self._look_at(completion)
                yield Done(places[future], completion)
        if fatal is not None:
            raise fatal

    def _look_at(self, completion: Completion) -> None:
        """Say what a reader of the results must know. Here, because a warning belongs in the caller's thread."""
        if self._uncounted.is_set() and not self._warned_uncounted:
            self._warned_uncounted = True
            place = self._endpoint.place
            warnings.warn(f"{place} reports no token usage: tokens and money are estimated", stacklevel=3)
        name = completion.served_by
        if not name or name in self._names:
            return
        if self._names:
            warnings.warn(f"the endpoint answered as '{self._names[-1]}', and now answers as '{name}'", stacklevel=3)
        elif not _alike(name, self.ref.id):
            warnings.warn(f"asked for the model '{self.ref.id}', the endpoint answers as '{name}'", stacklevel=3)
        self._names.append(name)

    def _ask(self, request: Request, signals: _Signals) -> Completion | None:
        """One request; None when the batch ended first. What stops the run stops the batch at once."""
        try:
            completion = self._keep_asking(request, signals)
            if completion is None or signals.drop.is_set():
                return None
            self._note(completion)
        except BackendError:
            signals.stop.set()
            raise
        return completion

    def _keep_asking(self, request: Request, signals: _Signals) -> Completion | None:
        """Attempt after attempt, until there is an answer or no use in another attempt."""
        payload = write_request(request, self.ref.id, self._options)
        pacing = self._options.pacing
        retries = 0 if self._breaker.open else pacing.max_retries
        sleep = signals.stop.wait if self._clock.sleep is None else self._clock.sleep
        completion = None
        for attempt in range(retries + 1):
            if signals.stop.is_set():
                break
            with self._gate.slot() as mark:
                outcome = self._attempt(payload, request, signals.drop)
            completion = outcome.completion
            if outcome.throttled:
                self._gate.throttled(mark)
            elif completion.failure is None:
                self._gate.succeeded()
            if not outcome.again or attempt == retries:
                break
            wait = pacing.wait(attempt, outcome.asked, self._draw())
            _log.info("waiting %.1f s after: %s", wait, completion.failure)
            sleep(wait)
        return completion

    def stream(self, request: Request, cancelled: Callable[[], bool] = never) -> Iterator[Delta]:
        """Pieces as they come; asked again only before the first of them. Raises as answering whole does.

        To be read by the thread that began it.
        """
        payload = write_request(request, self.ref.id, self._options, pieces=True)
        retries = 0 if self._breaker.open else self._options.pacing.max_retries
        completion = Completion(finish="cancelled")
        for attempt in range(retries + 1):
            with self._gate.slot() as mark:
                reply = StreamedReply(self._endpoint.place, self.ref.id, lambda text: self._clean(text, request))
                outcome = yield from self._pieces(payload, request, reply, cancelled)
            completion = outcome.completion
            if cancelled() and completion.failure is not None:
                completion = Completion(text=reply.text, finish="cancelled", seconds=completion.seconds)
                break
            if outcome.throttled:
                self._gate.throttled(mark)
            elif completion.failure is None:
                self._gate.succeeded()
            if not outcome.again or reply.begun or attempt == retries:
                self._note(completion)
                break
            self._pause(self._options.pacing.wait(attempt, outcome.asked, self._draw()), cancelled)
        self._look_at(completion)
        yield Delta(completion=completion)

    def _pieces(
        self, payload: bytes, request: Request, reply: StreamedReply, cancelled: Callable[[], bool]
    ) -> Generator[Delta, None, Outcome]:
        """One attempt's pieces; returns what came of it."""
        started = time.monotonic()
        asked = None
        try:
            with self._endpoint.opened(payload, cancelled) as answer:
                asked = asked_wait(answer.headers, self._clock.now())
                if answer.status == 200 and "json" not in answer.headers.get("content-type", ""):
                    for text in reply.pieces(answer.blocks):
                        yield Delta(text)
                    outcome = reply.outcome
                else:
                    # An error, or an endpoint that answers whole whatever it was asked.
                    body = b"".join(answer.blocks)
                    whole = Reply(answer.status, answer.headers, body, time.monotonic() - started)
                    outcome = self._read(whole, request)
                    if outcome.completion.failure is None:
                        yield Delta(outcome.completion.text)
        except Unanswered as error:
            outcome = Outcome(Completion(failure=error.failure, finish="error"), again=error.again)
        return self._counted(outcome, request, time.monotonic() - started, asked)

    def _note(self, completion: Completion) -> None:
        """Let the breaker know. Raises BackendError E3102 where it opens."""
        failure = completion.failure
        self._breaker.note(failed=failure is not None and failure.kind not in _ABOUT_ONE_QUESTION)
        if failure is not None and self._breaker.open:
            raise BackendError("E3102", n=self._breaker.count, reason=failure.message)

    def _pause(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        if self._clock.sleep is not None:
            self._clock.sleep(seconds)
            return
        ends = time.monotonic() + seconds
        while not cancelled() and (left := ends - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))

    def _clean(self, text: str, request: Request) -> str:
        # An endpoint that echoes the prompt in an error must not bring it into logs and records.
        return self._endpoint.clean(text, _texts(request))

    def _attempt(self, payload: bytes, request: Request, drop: threading.Event) -> Outcome:
        try:
            reply = self._endpoint.post(payload, drop.is_set)
        except Unanswered as error:
            return Outcome(Completion(failure=error.failure, finish="error", seconds=error.seconds), again=error.again)
        outcome = self._read(reply, request)
        return self._counted(outcome, request, reply.seconds, asked_wait(reply.headers, self._clock.now()))

    def _read(self, reply: Reply, request: Request) -> Outcome:
        outcome = read_reply(reply, self._endpoint.place, self.ref.id, lambda text: self._clean(text, request))
        if outcome.garbage:
            self._endpoint.log_garbage(reply.body, _texts(request))
        return outcome

    def _counted(self, outcome: Outcome, request: Request, seconds: float, asked: float | None) -> Outcome:
        """What an attempt took, put to its outcome."""
        completion = replace(outcome.completion, seconds=seconds)
        if completion.failure is None and not outcome.counted:
            self._uncounted.set()
            completion = _estimate(completion, request)
        completion = replace(completion, money=self._options.prices.of(completion))
        return replace(outcome, completion=completion, asked=asked)


def _texts(request: Request) -> list[str]:
    return [message.text for message in request.messages] + [request.query]


def _estimate(completion: Completion, request: Request) -> Completion:
    sent = sum(rough_tokens(message.text) for message in request.messages)
    return replace(
        completion,
        tokens_in=completion.tokens_in or sent,
        tokens_out=completion.tokens_out or rough_tokens(completion.text),
    )


def _alike(one: str, other: str) -> bool:
    """Whether two names may mean one model: 'gpt-x' and 'gpt-x-2026-01-01', 'org/name' and 'name'."""
    one, other = (name.casefold().rstrip("/").rpartition("/")[2] for name in (one, other))
    return one in other or other in one
