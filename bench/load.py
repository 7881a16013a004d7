"""A load generator for bench/serving.py: keep-alive clients on raw sockets, in a process of its own, so that little of it is measured.

Reads one JSON order from stdin: host, port, path, headers, bodies, clients, requests or seconds. Prints one JSON line; `texts` holds
the first answer to every body where every body is asked once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import count


class Client(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self, requests, latencies, errors, done, more, texts):
        self._requests = requests
        self._latencies = latencies
        self._errors = errors
        self._done = done
        self._more = more
        self._texts = texts
        self._n = 0
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport):
        self._transport = transport
        self._next()

    def _next(self):
        n = self._more()
        if n is None:
            self._transport.close()
            return
        self._n = n
        self._sent = time.perf_counter()
        self._transport.write(self._requests[n % len(self._requests)])

    def data_received(self, data):
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else None
        whole = len(body) >= length if length is not None else body.endswith(b"0\r\n\r\n")
        if not whole:
            return
        self._latencies.append(time.perf_counter() - self._sent)
        if self._texts is not None:
            self._texts[self._n] = body
        if not head.startswith(b"HTTP/1.1 200"):
            self._errors.append(head.split(b"\r\n", 1)[0].decode("latin-1"))
        self._buffer = b""
        self._next()

    def connection_lost(self, error):
        if not self._done.done():
            self._done.set_result(None)


async def run(order):
    bodies = [json.dumps(body).encode() for body in order["bodies"]]
    lines = [f"{name}: {value}\r\n" for name, value in order.get("headers", {}).items()]
    head = f"POST {order['path']} HTTP/1.1\r\nhost: {order['host']}\r\ncontent-type: application/json\r\n" + "".join(
        lines
    )
    requests = [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    latencies, errors, numbers = [], [], count()
    texts = {} if order.get("requests", 0) <= len(bodies) and "requests" in order else None
    limit = order.get("requests")
    until = time.perf_counter() + order["seconds"] if "seconds" in order else None

    def more():
        n = next(numbers)
        if (limit is not None and n >= limit) or (until is not None and time.perf_counter() > until):
            return None
        return n

    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    waits = []
    for _ in range(order["clients"]):
        done = loop.create_future()
        await loop.create_connection(
            lambda done=done: Client(requests, latencies, errors, done, more, texts), order["host"], order["port"]
        )
        waits.append(done)
    await asyncio.gather(*waits)
    seconds = time.perf_counter() - started
    said = {} if texts is None else {str(n): text_of(body) for n, body in texts.items()}
    return {"seconds": seconds, "latencies": latencies, "errors": errors[:20], "n": len(latencies), "texts": said}


def text_of(body):
    """The answer in a chat completion; '' where there is none."""
    start = body.find(b"{")
    try:
        return json.loads(body[start : body.rfind(b"}") + 1])["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError):
        return ""


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
