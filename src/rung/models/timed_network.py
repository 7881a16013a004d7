"""Sockets with deadlines on the whole attempt, for the HTTP client of `endpoint.py`.

The deadlines of an HTTP library are per read: an answer that drips one byte at a time never passes them. Here every read looks
at the attempt's own deadlines, in slices of half a second, so that a cancelled attempt ends soon as well.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore2
import httpx2
from pydantic import PositiveFloat

from rung.core.task import Frozen

_SLICE = 0.5


class Deadlines(Frozen):
    """Seconds that one attempt may take. Looking up the host name has only the resolver's own limit."""

    connect: PositiveFloat = 10.0
    first_byte: PositiveFloat = 120.0
    """Silence before the answer begins; an endpoint that does not stream is silent while the model writes."""
    idle: PositiveFloat = 30.0
    """Silence within an answer that has begun."""
    total: PositiveFloat = 300.0


class Late(Exception):
    """A deadline passed, or the caller gave up; the text says which."""


def never() -> bool:
    """Nobody cancels."""
    return False


class Attempt(threading.local):
    """What the thread that is now asking has allowed itself."""

    deadlines = Deadlines()
    ends = float("inf")
    heard = False
    """The endpoint has sent its first byte."""
    cancelled: Callable[[], bool] = staticmethod(never)

    def begin(self, deadlines: Deadlines, cancelled: Callable[[], bool]) -> None:
        self.deadlines, self.cancelled = deadlines, cancelled
        self.ends = time.monotonic() + deadlines.total
        self.heard = False

    def left(self) -> float:
        """Seconds until the end; raises `Late` when there are none."""
        if self.cancelled():
            raise Late("the caller gave up waiting")
        left = self.ends - time.monotonic()
        if left <= 0:
            raise Late(f"the total deadline of {self.deadlines.total:g} s passed")
        return left


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream, attempt: Attempt) -> None:
        self._inner = inner
        self._attempt = attempt

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        attempt = self._attempt
        name, allowed = "first-byte", attempt.deadlines.first_byte
        if attempt.heard:
            name, allowed = "idle", attempt.deadlines.idle
        silent_until = time.monotonic() + allowed
        while True:
            left = min(attempt.left(), silent_until - time.monotonic())
            if left <= 0:
                raise Late(f"the {name} deadline of {allowed:g} s passed")
            try:
                data = self._inner.read(max_bytes, min(left, _SLICE))
            except httpcore2.ReadTimeout:
                continue
            attempt.heard = attempt.heard or bool(data)
            return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, min(self._attempt.deadlines.idle, self._attempt.left()))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        limit = min(self._attempt.deadlines.connect, self._attempt.left())
        inner = self._inner.start_tls(ssl_context, server_hostname, limit)
        # Whatever was heard so far came from a proxy, not from the endpoint.
        self._attempt.heard = False
        return _Stream(inner, self._attempt)

    def close(self) -> None:
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class TimedNetwork(httpcore2.NetworkBackend):
    """Opens connections whose every operation keeps the deadlines of `attempt`."""

    def __init__(self, attempt: Attempt) -> None:
        self._plain = httpcore2.SyncBackend()
        self._attempt = attempt

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        limit = min(self._attempt.deadlines.connect, self._attempt.left())
        return _Stream(self._plain.connect_tcp(host, port, limit, local_address, socket_options), self._attempt)


class _Body(httpx2.SyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class PoolTransport(httpx2.BaseTransport):
    """httpx2's client on a connection pool of our own. Errors come through as httpcore2's."""

    def __init__(self, pool: httpcore2.ConnectionPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        sent = httpcore2.Request(request.method, target, headers=request.headers.raw, content=request.read())
        got = self._pool.handle_request(sent)
        return httpx2.Response(got.status, headers=got.headers, stream=_Body(got))

    def close(self) -> None:
        self._pool.close()
