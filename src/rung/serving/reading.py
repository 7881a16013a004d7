"""Reading a request's body within a size and a time, before anything looks at it."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from rung.serving.refusals import Refusal

_CLOSE = {"connection": "close"}


async def read_body(request: Request, *, most: int, seconds: float) -> bytes:
    """The whole body. Raises Refusal 413 above `most` bytes, unread where its length is announced; 408 where it is slow."""
    announced = request.headers.get("content-length", "")
    if announced and (not announced.isdecimal() or int(announced[:19]) > most):
        raise _too_large(most)
    body = b""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                body = message.get("body", b"")
                size += len(body)
                if size > most:
                    raise _too_large(most)
                parts.append(body)
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        said = f"The body did not arrive within {seconds:g} seconds."
        raise Refusal(408, said, code="request_timeout", headers=_CLOSE) from None


class Gone(Exception):
    """The caller has left: nobody to answer."""


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"The body is larger than {most} bytes.", code="request_too_large", headers=_CLOSE)
