"""One request's answers: put to an engine, awaited within a time, given up when the caller leaves."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive

from rung.core.hashing import seed_from
from rung.core.task import Example
from rung.serving.engine import Ask, Job, Outcome
from rung.serving.refusals import Refusal, overloaded
from rung.serving.service import Call, Picked, Service, Way
from rung.serving.waiting import Full
from rung.store.traffic.records import new_id


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of answer number `index`; the last one of each carries the outcome."""

    index: int
    text: str = ""
    outcome: Outcome | None = None


class Round:
    """An async context manager over the jobs of one request.

    `n` answers that are drawn at random are asked one by one with rising seeds; others are the same, and asked once.
    """

    def __init__(self, service: Service, call: Call, way: Way, receive: Receive, *, n: int = 1) -> None:
        self.call = call
        self.way = way
        self.n = n
        self.numbers: list[str] = []
        """The trace of each answer; the first one is the request's own number."""
        self._service = service
        self._receive = receive
        self._jobs: list[Job] = []
        self._pieces: asyncio.Queue[Piece] | None = asyncio.Queue() if way.streamed else None
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._admitted = False

    async def __aenter__(self) -> Round:
        service, loop = self._service, asyncio.get_running_loop()
        try:
            await service.admit(self.call.key)
        except Refusal as refusal:
            service.gauges.refused.labels(refusal.code or "").inc()
            raise
        self._admitted = True
        try:
            self._submit()
        except Full:
            service.gauges.refused.labels("queue_full").inc()
            self._end("cancelled")
            raise overloaded(self.way.hosted.engine.expected_wait()) from None
        service.under_way[self.call.id] = self._give_up
        self._timer = loop.call_later(service.settings.seconds, self._give_up, "timeout")
        self._watch = loop.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        gone = self.gone
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        self._end("cancelled")
        if not gone and not self._service.draining:
            # The answer is written in the same turn of the loop, and is on its way before the next one.
            asyncio.get_running_loop().call_soon(self._shadow)

    async def outcomes(self) -> list[Outcome]:
        """Every answer's outcome, in order."""
        found = [await job.done for job in self._jobs]
        return found if len(found) == self.n else found * self.n

    async def pieces(self) -> AsyncIterator[Piece]:
        """Pieces of all answers as they come; every answer ends with one that carries its outcome."""
        assert self._pieces is not None
        left = len(self._jobs)
        while left:
            piece = await self._pieces.get()
            left -= piece.outcome is not None
            copies = range(self.n) if len(self._jobs) < self.n else (piece.index,)
            for index in copies:
                yield Piece(index, piece.text, piece.outcome)

    @property
    def gone(self) -> bool:
        """Whether the caller has left."""
        return self._watch is not None and self._watch.done()

    def _submit(self) -> None:
        way, call = self.way, self.call
        drawn = self.n > 1 and bool(way.changes.get("temperature"))
        self.numbers = [call.id, *(new_id("rq") for _ in range(self.n - 1))] if drawn else [call.id] * self.n
        for index in range(self.n if drawn else 1):
            self._jobs.append(self._job(index, self._seeded(index)))

    def _seeded(self, index: int) -> Mapping[str, Any]:
        """An answer that is drawn needs a seed: the caller's, counted up, or else one of its own."""
        changes = self.way.changes
        if not changes.get("temperature"):
            return changes
        seed = changes["seed"] + index if "seed" in changes else seed_from(self.numbers[index])
        return {**changes, "seed": seed % (1 << 31)}

    def _job(self, index: int, changes: Mapping[str, Any]) -> Job:
        way, number = self.way, self.numbers[index]
        ask = self._ask(number, changes)
        pieces = self._pieces
        on_text = None if pieces is None else lambda text: pieces.put_nowait(Piece(index, text))
        job = way.hosted.engine.submit(ask, on_text, lambda outcome: self._keep(number, outcome))
        if pieces is not None:
            job.done.add_done_callback(lambda done: pieces.put_nowait(Piece(index, "", done.result())))
        return job

    def _ask(self, number: str, changes: Mapping[str, Any]) -> Ask:
        question, key = self.way.question, self.call.key
        example = Example(number, question.inputs, (), history=question.history)
        return Ask(example, changes, key.labels, key.id, key.tenant)

    def _keep(self, number: str, outcome: Outcome) -> None:
        self._service.record(self.call, self.way, number, outcome)

    def _shadow(self) -> None:
        """Have the challenger answer the same, unseen, once the answer is out and the champion has nothing else to do."""
        way, call, number = self.way, self.call, new_id("rq")
        other = self._service.desk.shadow(call.id, way.session)
        if other is None:
            return
        unseen = Way(Picked(other, "shadow"), way.question, way.changes, way.ignored)
        ask = self._ask(number, way.changes)

        def keep(outcome: Outcome) -> None:
            self._service.record(call, unseen, number, outcome, parent=call.id)

        try:
            other.engine.submit_spare(ask, keep, way.hosted.engine)
        except Full:
            self._service.gauges.refused.labels("shadow_full").inc()

    async def _listen(self) -> None:
        # After the body, the next thing that a connection says is that it is gone.
        for _ in itertools.count():
            if (await self._receive())["type"] == "http.disconnect":
                break
        self._give_up("cancelled")

    def _give_up(self, kind: str) -> None:
        for job in self._jobs:
            if not job.done.done():
                job.give_up(kind)

    def _end(self, kind: str) -> None:
        self._give_up(kind)
        if self._admitted:
            self._admitted = False
            self._service.under_way.pop(self.call.id, None)
            self._service.dismiss(self.call.key)
