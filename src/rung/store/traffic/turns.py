"""Turns of those who write to one SQLite file: one at a time, over all threads and processes of ours."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rung.core.durable import writing

_LOOK = 0.002
"""Seconds between two looks at a turn that is another process's."""


class Turns:
    """A lock file beside the database.

    SQLite lets writers wait for each other by itself. But before 3.51.3 one that commits while another moves the log into
    the database could damage it (sqlite.org/wal.html, "The WAL-Reset Bug"); those who take turns never do both at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine = threading.Lock()
        self._file: int | None = None

    @contextmanager
    def mine(self, seconds: float) -> Iterator[None]:
        """Wait for a turn, so long at most: after that SQLite says what stands in the way."""
        until = time.monotonic() + seconds
        got = self._mine.acquire(timeout=seconds)
        try:
            if got:
                self._lock(until)
            yield
        finally:
            if got:
                if self._file is not None:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
                self._mine.release()

    def _lock(self, until: float) -> None:
        if self._file is None:
            with writing(self._path):
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return
                time.sleep(_LOOK)
            else:
                return

    def close(self) -> None:
        with self._mine:
            if self._file is not None:
                os.close(self._file)
                self._file = None
