"""A server on loopback in a thread, over a fake candidate, for tests of serving."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from fake_endpoint import read_head

from rung.core.answer import Opened
from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.model import Completion, Model, Request
from rung.core.streaming import Delta
from rung.models.fake import FakeModel
from rung.serving.engine import Engine
from rung.serving.hosting import Hosted
from rung.serving.server import Server, listen
from rung.serving.service import Book, OneDesk, Service, Settings, Traces
from rung.store.traffic.records import Feedback, Trace


class SlowModel(FakeModel):
    """Streams its answer word by word, with a pause before each; `stopped` counts answers that were called off."""

    def __init__(self, answers: Any = None, *, pause: float = 0.0, **more: Any) -> None:
        super().__init__(answers, **more)
        self.pause = pause
        self.stopped = 0

    def stream(self, request: Request, cancelled: Callable[[], bool]) -> Iterator[Delta]:
        (completion,) = super().generate([request])
        words = completion.text.split(" ")
        for n, word in enumerate(words):
            time.sleep(self.pause)
            if cancelled():
                self.stopped += 1
                yield Delta("", Completion(finish="cancelled", tokens_in=completion.tokens_in, tokens_out=n))
                return
            yield Delta(word if n == len(words) - 1 else word + " ")
        yield Delta("", completion)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        time.sleep(self.pause)
        return super().generate(requests)


def candidate_of(model: Model, *, fields: Sequence[str] = ("question",), **output: Any) -> Candidate:
    prompt = PromptSlot(instruction="Answer.", fields=tuple(fields))
    return Candidate(method="prompt", model=model.ref, prompt=prompt, output=OutputSlot(**output))


def hosted_of(
    model: Model,
    *,
    dialogue: bool = False,
    waiting: int = 256,
    batch: int = 16,
    opened: Any = None,
    **candidate: Any,
) -> Hosted:
    opened = opened or Opened(candidate_of(model, **candidate), model)
    return Hosted("small", opened, Engine(opened, waiting=waiting, batch=batch), dialogue)


@dataclass
class Kept:
    """Traces in a list, in place of a database."""

    traces: list[Trace] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)

    def add(self, trace: Trace) -> None:
        self.traces.append(trace)

    def add_feedback(self, feedback: Feedback) -> None:
        self.feedback.append(feedback)

    def wait(self, n: int, seconds: float = 10.0) -> list[Trace]:
        until(lambda: len(self.traces) >= n, seconds)
        return self.traces


class LiveServer:
    """A context manager: `url` is the base address of the API."""

    def __init__(
        self,
        hosted: Hosted,
        *,
        settings: Settings | None = None,
        book: Book | None = None,
        traces: Traces | None = None,
        desk: Any = None,
    ) -> None:
        self.kept = Kept()
        self.hosted = hosted
        self.service = Service(
            desk or OneDesk(hosted),
            book=book,
            traces=traces or self.kept,
            keys=book is not None,
            settings=settings or Settings(grace=2),
        )
        self.server = Server(self.service)
        self.socket = listen("127.0.0.1", 0)
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    def __enter__(self) -> LiveServer:
        self._thread.start()
        assert until(lambda: self.server.started), "the server did not start"
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.server.should_exit = True
        self._thread.join(10)
        self.socket.close()
        assert not self._thread.is_alive()

    def ask(
        self, path: str, body: Any = None, *, method: str = "POST", key: str = "", headers: dict[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = dict(headers or {})
        if key:
            sent["authorization"] = f"Bearer {key}"
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def chat(self, text: str = "hello", *, key: str = "", **more: Any) -> Reply:
        return self.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": text}], **more}, key=key)

    def settle(self, seconds: float = 10.0) -> bool:
        """Whether nothing waits or runs any more, within a time."""
        engine = self.hosted.engine
        return until(lambda: not engine.waiting and not engine.running and not self.service.calls, seconds)


def until(happened: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether something came about within a time."""
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.01)
    return happened()


def connect(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def one_reply(connection: socket.socket) -> bytes:
    """Head and body of the next answer, in however many pieces they come."""
    with connection.makefile("rb") as read:
        head = read_head(read)
        if not head:
            return b""
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return head + read.read(length)


def question(text: str = "hi", **more: object) -> bytes:
    """A whole request for a chat completion, as it goes over the wire."""
    body = json.dumps({"messages": [{"role": "user", "content": text}], **more}).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["error"]
        assert set(found) == {"message", "type", "param", "code"}
        return found
