"""A small OpenAI-compatible endpoint on loopback that misbehaves in every way a test asks for."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.core.model import Message, Request

Body = dict[str, Any]


@dataclass(frozen=True)
class Say:
    """One HTTP answer, sent in pieces. `then`: close | stall (until the endpoint closes) | keep."""

    pieces: Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    then: str = "keep"
    pause: float = 0.0
    raw: bool = False


Reaction = Say | str  # or "hang up", "stall"
Script = Callable[[int, Body], Reaction]


def answer(text: str | None = "yes", *, finish: str | None = "stop", model: str = "m1", **message: Any) -> Body:
    """The body of an ordinary answer."""
    return {
        "id": "x",
        "model": model,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }


def say(body: Body | bytes | str, status: int = 200, **headers: str) -> Say:
    """An answer with this body; underscores in header names become dashes."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
    return Say([data], status, {name.replace("_", "-"): value for name, value in headers.items()})


def refuse(status: int, message: str = "no", code: str | None = None, **headers: str) -> Say:
    """An error in OpenAI's envelope."""
    return say({"error": {"message": message, "type": "t", "param": None, "code": code}}, status, **headers)


def read_head(stream: Any) -> bytes:
    """The head of the next message of HTTP; b"" where there is none, or only part of one."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    return head


class FakeEndpoint:
    """Answers request number n (from 1) as `script(n, body)` says. Use as a context manager."""

    def __init__(self, script: Script | Sequence[Reaction] | Reaction) -> None:
        self._script = script
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._connections: list[socket.socket] = []
        self.bodies: list[Body] = []
        self.heads: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeEndpoint:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for connection in [self._listener, *self._connections]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    @property
    def asked(self) -> int:
        return len(self.bodies)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while self._one(connection, stream):
                    pass
        except OSError:
            return

    def _one(self, connection: socket.socket, stream: Any) -> bool:
        head = read_head(stream)
        if not head:
            return False
        fields = dict(line.lower().split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:] if line)
        sent = stream.read(int(fields["content-length"]))
        if len(sent) < int(fields["content-length"]):
            return False
        body = json.loads(sent)
        with self._lock:
            self.heads.append(head.decode("latin-1"))
            self.bodies.append(body)
            number = len(self.bodies)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            reaction = self._reaction(number, body)
        finally:
            with self._lock:
                self._at_once -= 1
        return self._send(connection, reaction)

    def _reaction(self, number: int, body: Body) -> Reaction:
        if callable(self._script):
            return self._script(number, body)
        if isinstance(self._script, Say | str):
            return self._script
        return self._script[min(number, len(self._script)) - 1]

    def _send(self, connection: socket.socket, reaction: Reaction) -> bool:
        if reaction == "hang up":
            return False
        if isinstance(reaction, str):
            self._closing.wait(10)
            return False
        if not reaction.raw:
            length = sum(map(len, reaction.pieces)) if reaction.length is None else reaction.length
            headers = {"content-type": "application/json", "content-length": str(length), **reaction.headers}
            head = f"HTTP/1.1 {reaction.status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            connection.sendall(head.encode() + b"\r\n")
        for piece in reaction.pieces:
            connection.sendall(piece)
            if reaction.pause and self._closing.wait(reaction.pause):
                return False
        if reaction.then == "stall":
            self._closing.wait(10)
        return reaction.then == "keep"


def ask(text: str = "hello", **fields: Any) -> Request:
    """A plain request."""
    return Request(messages=(Message("system", "Answer."), Message("user", text)), query=text, **fields)
