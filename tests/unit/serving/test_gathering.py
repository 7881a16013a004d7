"""Callers who ask together are answered together: a batch waits a moment for those who are expected."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest
from live_server import LiveServer, candidate_of, until

import rung.serving.live
from rung.core.answer import Opened
from rung.core.model import Completion, Request
from rung.core.streaming import Delta
from rung.models.fake import FakeModel
from rung.serving import engine
from rung.serving.hosting import Hosted
from rung.serving.live import LiveEngine
from rung.serving.waiting import WaitingLine


class Waiter:
    key = "a"
    tenant = "one"


def later(line: WaitingLine[Waiter], waiters: Sequence[Waiter]) -> threading.Thread:
    def come() -> None:
        for waiter in waiters:
            time.sleep(0.02)
            line.put(waiter)

    thread = threading.Thread(target=come)
    thread.start()
    return thread


def test_those_who_are_hoped_for_are_waited_for_and_no_longer() -> None:
    line: WaitingLine[Waiter] = WaitingLine(10)
    late = later(line, [Waiter() for _ in range(3)])
    assert len(line.take(8, hoped=3, patience=60) or ()) == 3
    late.join()
    line.put(Waiter())
    assert len(line.take(8, hoped=3, patience=0.01) or ()) == 1
    line.put(Waiter())
    line.put(Waiter())
    assert len(line.take(2, hoped=3, patience=60) or ()) == 2


def test_a_line_that_is_closed_or_left_lets_nobody_wait() -> None:
    line: WaitingLine[Waiter] = WaitingLine(10)
    line.put(Waiter())
    threading.Timer(0.05, line.close).start()
    assert len(line.take(8, hoped=3, patience=60) or ()) == 1
    left: WaitingLine[Waiter] = WaitingLine(10)
    gone = Waiter()
    left.put(gone)
    threading.Timer(0.02, left.drop, [gone]).start()
    assert left.take(8, hoped=3, patience=0.1) == []


class Counting(FakeModel):
    """Notes how many questions each batch has; the first one ends when `gate` is set."""

    def __init__(self) -> None:
        super().__init__(default="yes")
        self.sizes: list[int] = []
        self.gate = threading.Event()

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.sizes.append(len(requests))
        assert self.gate.wait(60)
        return super().generate(requests)


class CountingLive(Counting):
    """The same, asked step by step: it answers all at the next step, as it would choose labels."""

    def __init__(self) -> None:
        super().__init__()
        self._begun: dict[str, Request] = {}

    def joins(self) -> bool:
        return True

    def begin(self, id: str, request: Request) -> None:
        self._begun[id] = request

    def step(self) -> list[tuple[str, Delta]]:
        begun, self._begun = self._begun, {}
        done = self.generate(list(begun.values()))
        return [(id, Delta(completion.text, completion)) for id, completion in zip(begun, done, strict=True)]

    def cancel(self, id: str) -> None:
        self._begun.pop(id, None)

    def busy(self) -> bool:
        return bool(self._begun)


@pytest.mark.parametrize("live", [False, True])
def test_whoever_is_first_after_a_batch_does_not_go_alone(monkeypatch: pytest.MonkeyPatch, *, live: bool) -> None:
    patience = iter([60.0])
    for module in (engine, rung.serving.live):
        monkeypatch.setattr(module, "patience_after", lambda seconds: next(patience, 0.0))
    model = CountingLive() if live else Counting()
    opened = Opened(candidate_of(model), model)
    hosted = Hosted("small", opened, (LiveEngine if live else engine.Engine)(opened))
    with LiveServer(hosted) as server:

        def twice() -> None:
            for _ in range(2):
                assert server.chat("q").status == 200

        callers = [threading.Thread(target=twice) for _ in range(4)]
        callers[0].start()
        assert until(lambda: model.sizes == [1])
        for caller in callers[1:]:
            caller.start()
        assert until(lambda: hosted.engine.waiting == 3)
        model.gate.set()
        # The second batch waits for the one who was answered alone.
        assert until(lambda: model.sizes[:2] == [1, 4])
        for caller in callers:
            caller.join(60)


@pytest.mark.parametrize(("seconds", "patience"), [(0.0001, 0.0), (0.04, 0.0), (1.0, 0.02), (60.0, 0.1)])
def test_patience_is_a_small_share_of_what_a_batch_takes(seconds: float, patience: float) -> None:
    assert engine.patience_after(seconds) == pytest.approx(patience)
