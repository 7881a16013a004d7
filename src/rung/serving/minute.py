"""Requests of every key in the last minute, counted by several processes in one table that they share."""

from __future__ import annotations

import fcntl
import hashlib
import math
import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

_BUCKETS = 61
"""Whole seconds that one minute touches at most, so that no minute ever holds more than the limit."""
_SLOT = struct.Struct(f"=QQ{_BUCKETS}I")
"""A key's hash, the second that was counted last, and the requests of each second."""
_SLOTS = 4096
_NEAR = 16
"""Slots after its own in which a key may lie."""


class SharedMinute:
    """A file in memory, of a slot for each key, under a lock of the system that a killed process leaves by itself.

    A slot is taken again once its key has asked nothing for a minute; where more keys than slots ask in one minute, the one
    that has been quiet for longest is forgotten. Times are seconds of the machine's monotonic clock, the same in all processes.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """`path`: a file that all the processes name; whoever comes first makes it."""
        self._clock = clock
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = _SLOT.size * _SLOTS
        os.truncate(self._file, size)
        self._table = mmap.mmap(self._file, size)

    def ask(self, key: str, limit: int) -> float:
        """Count a request in, and 0; or the seconds until there is room for one."""
        now = self._clock()
        second = int(now)
        name = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") or 1
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            start = self._slot(name, second)
            known, last, *counts = _SLOT.unpack_from(self._table, start)
            if known != name:
                last, counts = second, [0] * _BUCKETS
            # A second that another process has reached already is now.
            second = max(second, last)
            for passed in range(last + 1, min(second, last + _BUCKETS) + 1):
                counts[passed % _BUCKETS] = 0
            if sum(counts) >= limit:
                first = next(s for s in range(second - _BUCKETS + 1, second + 1) if counts[s % _BUCKETS])
                return max(0.1, first + _BUCKETS - now)
            counts[second % _BUCKETS] += 1
            _SLOT.pack_into(self._table, start, name, second, *counts)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        return 0.0

    def _slot(self, name: int, second: int) -> int:
        """Where a key's slot begins: its own, else the one nearby that has been quiet for longest."""
        quietest, since = 0, math.inf
        for n in range(_NEAR):
            start = (name + n) % _SLOTS * _SLOT.size
            known, last = struct.unpack_from("=QQ", self._table, start)
            if known == name:
                return start
            if last < since:
                quietest, since = start, last
        return quietest

    def close(self) -> None:
        self._table.close()
        os.close(self._file)
