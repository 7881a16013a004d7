"""Questions that come while others are being answered, on a model that takes them in: continuous batching."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from live_server import LiveServer, candidate_of, connect, question, until

from rung.core.answer import Opened
from rung.core.model import Completion, Request
from rung.core.streaming import Delta
from rung.models.fake import FakeModel
from rung.serving.hosting import Hosted
from rung.serving.live import LiveEngine


class LiveModel(FakeModel):
    """Gives every request one word a step. `widest` is the most that ran in one step."""

    def __init__(self, words: int, *, pause: float = 0.02, break_at: int = 0) -> None:
        super().__init__(lambda request: " ".join(f"{request.query}{n}" for n in range(words)))
        self._pause, self._break_at = pause, break_at
        self._left: dict[str, tuple[list[str], Request]] = {}
        self.widest = self.steps = 0
        self.cancelled: list[str] = []

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        raise AssertionError("a live model is asked step by step")

    def joins(self) -> bool:
        return True

    def begin(self, id: str, request: Request) -> None:
        (completion,) = super().generate([request])
        self._left[id] = (completion.text.split(), request)

    def step(self) -> list[tuple[str, Delta]]:
        time.sleep(self._pause)
        self.steps += 1
        if self.steps == self._break_at:
            raise RuntimeError("out of memory")
        self.widest = max(self.widest, len(self._left))
        came: list[tuple[str, Delta]] = []
        for id, (words, request) in list(self._left.items()):
            if id in self.cancelled:
                came.append((id, Delta("", Completion(finish="cancelled", tokens_out=1))))
                del self._left[id]
                continue
            word = words.pop(0)
            came.append((id, Delta(word + (" " if words else ""))))
            if not words:
                whole = str(self._answers(request))  # type: ignore[operator]
                came.append((id, Delta("", Completion(whole, tokens_out=len(whole.split())))))
                del self._left[id]
        return came

    def cancel(self, id: str) -> None:
        self.cancelled.append(id)

    def busy(self) -> bool:
        return bool(self._left)


def hosted_on(model: LiveModel, batch: int = 8) -> Hosted:
    opened = Opened(candidate_of(model, max_tokens=64), model)
    return Hosted("small", opened, LiveEngine(opened, batch=batch))


def test_late_questions_join_those_under_way_and_get_their_own_words() -> None:
    model = LiveModel(20)
    with LiveServer(hosted_on(model)) as server:
        texts: dict[str, str] = {}

        def ask(name: str) -> None:
            texts[name] = server.chat(name).json["choices"][0]["message"]["content"]

        threads = [threading.Thread(target=ask, args=(name,)) for name in "abcdef"]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        for thread in threads:
            thread.join(10)
        assert texts == {name: " ".join(f"{name}{n}" for n in range(20)) for name in "abcdef"}
        assert model.widest >= 4
        assert server.settle()


def test_at_most_a_batch_runs_and_one_that_leaves_makes_room() -> None:
    model = LiveModel(200)
    with LiveServer(hosted_on(model, batch=2)) as server:
        held = [connect(server) for _ in range(3)]
        for connection in held:
            connection.sendall(question("q", stream=True))
            time.sleep(0.05)
        assert until(lambda: model.widest == 2 and server.hosted.engine.waiting == 1)
        held[0].close()
        assert until(lambda: server.hosted.engine.waiting == 0)
        for connection in held[1:]:
            connection.close()
        assert server.settle()
        assert not model.busy()


def test_a_step_that_breaks_fails_those_under_way_and_nobody_after() -> None:
    model = LiveModel(5, break_at=2)
    with LiveServer(hosted_on(model)) as server:
        assert server.chat("a").status == 500
        assert server.chat("b").json["choices"][0]["message"]["content"] == "b0 b1 b2 b3 b4"
        assert server.settle()
