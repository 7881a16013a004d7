"""Several processes behind one socket: started, watched, begun anew when one dies, and ended together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rung.core.errors import BackendError
from rung.serving.server import SIGNALS

_LOOK = 0.05
"""Seconds between two looks at the processes."""
_LIVED = 60.0
"""Seconds after which a process that dies is begun anew at once; before, ever later."""
_LONGEST_PAUSE = 30.0
_LATE = 15.0
"""Seconds beyond its grace after which a process that does not end is ended."""


class Link:
    """A process's line to the one that started it: tells what it does, and ends it when that one is gone."""

    def __init__(self, number: int) -> None:
        """`number`: of the open socket that was handed over."""
        self._socket = socket.socket(fileno=number)
        threading.Thread(target=self._listen, name="rung-link", daemon=True).start()

    def tell(self, what: str, value: Any = None) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps([what, value]).encode() + b"\n")

    def _listen(self) -> None:
        # Nothing is ever said on it: an end means that nobody is there any more who could pass a signal on.
        with contextlib.suppress(OSError):
            self._socket.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)


@dataclass
class _Seat:
    """One process of the crew, and its successors."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    link: socket.socket | None = None
    begun: float = 0.0
    due: float = 0.0
    deaths: int = 0
    """Soon after their beginning, one after another."""
    ready: bool = False
    heard: bytes = b""


def _nothing(*_: Any) -> None:
    return


@dataclass(frozen=True)
class Told:
    """Who is told what a crew does."""

    ready: Callable[[Any], None] = _nothing
    """Questions are taken by all; with what the first process said of itself."""
    stopping: Callable[[], None] = _nothing
    died: Callable[[int, int, float], None] = _nothing
    """A process, by its id, with its exit status and the seconds until another takes its place."""
    gone: Callable[[int], None] = _nothing
    """A process has ended, by its id: for whoever keeps something of it."""


class Crew:
    """`start(number, link)` begins a process that uses `Link(link)` and says `ready` and, at the end, `cut` with a number.

    It must be in a session of its own, so that a terminal's signal reaches it only through here. `grace`: seconds that a
    process may take to end.
    """

    def __init__(
        self, size: int, start: Callable[[int, int], subprocess.Popen[bytes]], *, grace: float, told: Told | None = None
    ) -> None:
        self._start, self._grace, self._told = start, grace, told or Told()
        self._seats = [_Seat(number) for number in range(size)]
        self._signal = self._cut = 0
        self._announced = False
        self._first: Any = None
        """What the first process that was ready said of itself."""
        self._failed: int | None = None

    def run(self) -> int:
        """Until a signal. How many requests had to be cut at the end. Raises BackendError E7008 where none can start."""
        until: float | None = None
        try:
            with self._signals():
                while True:
                    for seat in self._seats:
                        self._look(seat)
                    if self._signal and until is None:
                        until = self._stop()
                    alive = [seat for seat in self._seats if seat.process is not None]
                    if until is None:
                        self._fill()
                    elif not alive:
                        break
                    elif time.monotonic() > until:
                        _kill(alive)
                    time.sleep(_LOOK)
        finally:
            _kill([seat for seat in self._seats if seat.process is not None])
        if self._failed is not None:
            raise BackendError("E7008", ended=self._failed)
        return self._cut

    def _fill(self) -> None:
        """Begin those who are due: the first one alone, so that what stands in its way is said once."""
        now, somebody = time.monotonic(), self._first is not None
        for seat in self._seats if somebody else self._seats[:1]:
            if seat.process is None and now >= seat.due:
                self._begin(seat)
        if not self._announced and all(seat.ready for seat in self._seats):
            self._announced = True
            self._told.ready(self._first)

    def _begin(self, seat: _Seat) -> None:
        own, theirs = socket.socketpair()
        with theirs:
            seat.process = self._start(seat.number, theirs.fileno())
        own.setblocking(False)
        seat.link, seat.begun, seat.ready, seat.heard = own, time.monotonic(), False, b""

    def _look(self, seat: _Seat) -> None:
        """Hear what a process says, and see whether it is still there."""
        if seat.process is None or seat.link is None:
            return
        ended = seat.process.poll()
        with contextlib.suppress(OSError):
            while data := seat.link.recv(4096):
                seat.heard += data
        *lines, seat.heard = seat.heard.split(b"\n")
        for line in lines:
            what, value = json.loads(line)
            if what == "ready":
                seat.ready, self._first = True, self._first or value or True
            elif what == "cut":
                self._cut += int(value)
        if ended is not None:
            self._ended(seat, seat.process, ended)

    def _ended(self, seat: _Seat, process: subprocess.Popen[bytes], code: int) -> None:
        if seat.link is not None:
            seat.link.close()
        seat.process = seat.link = None
        seat.ready = False
        self._told.gone(process.pid)
        if self._signal:
            return
        if self._first is None:
            self._failed, self._signal = code, signal.SIGTERM
            return
        now = time.monotonic()
        seat.deaths = 0 if now - seat.begun > _LIVED else seat.deaths + 1
        pause = min(_LONGEST_PAUSE, 2.0 ** (seat.deaths - 1)) if seat.deaths else 0.0
        seat.due = now + pause
        self._told.died(process.pid, code, pause)

    def _stop(self) -> float:
        """Ask all to end; until when they may take."""
        if self._failed is None:
            self._told.stopping()
        for seat in self._seats:
            if seat.process is not None:
                seat.process.terminate()
        return time.monotonic() + self._grace + _LATE

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def heard(number: int, frame: FrameType | None) -> None:
            if self._signal:
                _kill([seat for seat in self._seats if seat.process is not None])
                os._exit(128 + number)
            self._signal = number

        # Who has a signal ignored, as nohup does, means that.
        wanted = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, heard) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _kill(seats: list[_Seat]) -> None:
    for seat in seats:
        if seat.process is not None:
            seat.process.kill()
            seat.process.wait()
