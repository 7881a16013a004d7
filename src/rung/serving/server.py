"""The process: listening, and ending in order. A first signal lets answers finish, a second one ends at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from rung.core.errors import BackendError, InterruptedRun
from rung.serving.app import App
from rung.serving.connection import protocol_class
from rung.serving.service import Service

_NOTICED = 1.0
"""Seconds between saying 'not ready' and closing the door, so that whoever balances load sees it; none where nobody asks."""
_TELLING = 0.3
"""Seconds for those whose answers are cut to be told so."""
SIGNALS = [
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if (number := getattr(signal, name, None)) is not None
]


def listen(host: str, port: int) -> socket.socket:
    """An open socket; port 0 takes a free one. Raises BackendError E7002 where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except OSError as error:
        found.close()
        raise BackendError("E7002", host=host, port=port, reason=error.strerror or str(error)) from error
    return found


Call = Callable[[], None]


def run_server(
    service: Service, door: socket.socket, *, started: Call = lambda: None, stopping: Call = lambda: None
) -> None:
    """Serve until a signal. `started` is called once questions are taken, `stopping` when the first signal comes.

    Raises InterruptedRun E7004 where answers had to be cut.
    """
    # What is there now stays: looking through all of it for rubbish again and again would make callers wait.
    gc.collect()
    gc.freeze()
    server = Server(service, started=started, stopping=stopping)
    server.run(sockets=[door])
    if server.cut:
        raise InterruptedRun("E7004", n=server.cut, seconds=f"{service.settings.grace:g}")


class Server(uvicorn.Server):
    """uvicorn's server, but on a signal it first says that it is not ready, then waits for the answers under way."""

    def __init__(self, service: Service, *, started: Call = lambda: None, stopping: Call = lambda: None) -> None:
        settings = service.settings
        super().__init__(
            uvicorn.Config(
                App(service),
                http=protocol_class(settings),
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # What a proxy says of the caller is believed nowhere.
                proxy_headers=False,
                timeout_keep_alive=int(settings.idle_seconds),
                timeout_graceful_shutdown=2,
                backlog=1024,
                h11_max_incomplete_event_size=32_768,
            )
        )
        self.cut = 0
        """Requests that were under way when the grace was over."""
        self._service = service
        self._started = started
        self._stopping = stopping
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise them again at the end, which would make an interrupted command of an orderly one.
        try:
            # Who has a signal ignored, as nohup does, means that.
            heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            before = {number: signal.signal(number, self.handle_exit) for number in heard}
        except ValueError:
            before = {}  # not the main thread: whoever started this one ends it
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._service.draining:
            os._exit(128 + sig)
        self.drain()

    def drain(self) -> None:
        """Stop taking questions; end when those under way are answered, or the grace is over. From any thread."""
        self._service.draining = True

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._service.gauges.refresh()
        if self._service.draining and self._drain is None:
            self._stopping()
            self._drain = asyncio.get_running_loop().create_task(self._finish())
        return await super().on_tick(counter)

    async def _finish(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        until = begun + self._service.settings.grace
        while loop.time() < until and (self._service.calls or loop.time() < begun + _NOTICED):
            await asyncio.sleep(0.05)
        self.cut = self._service.calls
        for give_up in list(self._service.under_way.values()):
            give_up("stopped")
        if self.cut:
            await asyncio.sleep(_TELLING)
        self.should_exit = True
