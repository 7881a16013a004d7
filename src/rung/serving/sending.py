"""Answers on their way out: one JSON body, or server-sent events of which each is sent as it comes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from pydantic_core import PydanticSerializationError, to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rung.serving.door import send_refusal
from rung.serving.engine import Outcome
from rung.serving.refusals import Refusal, broken
from rung.serving.round import Piece, Round

_log = logging.getLogger(__name__)
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # Proxies that collect an answer before they pass it on would undo the stream.
    (b"x-accel-buffering", b"no"),
]


def reply(record: Mapping[str, Any], *, ignored: tuple[str, ...] = (), status: int = 200) -> Response:
    headers = {"content-type": "application/json", **ignored_header(ignored)}
    return Response(packed(record), status, headers)


def packed(record: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8; half a character, which a model may write, becomes a question mark."""
    try:
        return to_json(record)
    except PydanticSerializationError:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def sse(record: Mapping[str, Any], event: str = "") -> bytes:
    """One server-sent event."""
    return (f"event: {event}\n" if event else "").encode() + b"data: " + packed(record) + b"\n\n"


def ignored_header(ignored: tuple[str, ...]) -> dict[str, str]:
    return {"x-rung-ignored": ", ".join(ignored)} if ignored else {}


class Writer(Protocol):
    """How one route words its events. Each gives the bytes of no, one or several events."""

    def start(self) -> bytes: ...

    def piece(self, index: int, text: str) -> bytes: ...

    def last(self, index: int, outcome: Outcome) -> bytes:
        """The end of one answer. Raises Refusal where it failed."""
        ...

    def end(self) -> bytes: ...

    def error(self, refusal: Refusal) -> bytes: ...


class Streamed(Response):
    """Sends a round's answers as they come. Before the first piece an error has a status of its own; later it is an event."""

    def __init__(self, round: Round, writer: Writer, ignored: tuple[str, ...] = ()) -> None:
        self._round = round
        self._writer = writer
        self._extra = [(name.encode(), value.encode()) for name, value in ignored_header(ignored).items()]
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False
        writer = self._writer

        async def tell(data: bytes, *, more: bool = True) -> None:
            nonlocal begun
            if not begun:
                begun, headers = True, _STREAM_HEADERS + self._extra
                await send({"type": "http.response.start", "status": 200, "headers": headers})
            if data or not more:
                await send({"type": "http.response.body", "body": data, "more_body": more})

        try:
            async with self._round as round:
                async for piece in round.pieces():
                    if round.gone:
                        return
                    opening = b"" if begun else writer.start()
                    await tell(opening + self._words(piece))
                await tell(writer.end(), more=False)
        except Refusal as refusal:
            if not begun:
                await send_refusal(refusal, scope, send)
            else:
                await tell(writer.error(refusal), more=False)
        except Exception:
            _log.exception("an answer broke off")
            if not begun:
                await send_refusal(broken(), scope, send)
            else:
                await tell(writer.error(broken()), more=False)

    def _words(self, piece: Piece) -> bytes:
        if piece.outcome is None:
            return self._writer.piece(piece.index, piece.text)
        return self._writer.last(piece.index, piece.outcome)
