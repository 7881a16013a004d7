"""One HTTP connection of uvicorn with what it lacks: a time and a size for a request's head, and a time for slow readers."""

from __future__ import annotations

import asyncio
from typing import Any

from rung.serving.refusals import overloaded
from rung.serving.service import Settings

HEAD_BYTES = 32_768
_REFUSED = overloaded(2, "Too many connections; try again later.")
_BUSY = (
    f"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nconnection: close\r\n"
    f"content-type: application/json\r\ncontent-length: {len(_REFUSED.body)}\r\n\r\n"
).encode() + _REFUSED.body


def protocol_class(settings: Settings) -> type[asyncio.Protocol]:
    """uvicorn's own protocol (httptools where it is installed, else h11) under these limits."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    base: Any = AutoHTTPProtocol

    class Bounded(base):  # type: ignore[misc]
        """A connection is cut when a request's head takes too long or is too long, and when nobody reads the answer."""

        _head: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None
        _head_bytes = 0
        _seen: Any = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if len(self.connections) > settings.connections:
                transport.write(_BUSY)
                transport.close()
                return
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            waiting = self._in_head
            if waiting:
                self._head_bytes += len(data)
                if self._head is None:
                    self._expect_head()
            super().data_received(data)
            if self.cycle is not self._seen:
                self._seen, self._head_bytes = self.cycle, 0
                self._stop_head()
            elif waiting and self._head_bytes > HEAD_BYTES:
                self.transport.abort()

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._unread is None:
                self._unread = self.loop.call_later(settings.send_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None

        def timeout_keep_alive_handler(self) -> None:
            # Not `close`, which would wait for a reader who does not read.
            self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_head()
            super().connection_lost(exc)

        @property
        def _in_head(self) -> bool:
            """Whether what comes next belongs to a request's head."""
            return self.cycle is self._seen and (self.cycle is None or self.cycle.response_complete)

        def _expect_head(self) -> None:
            self._head = self.loop.call_later(settings.head_seconds, self.transport.abort)

        def _stop_head(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

    return Bounded
