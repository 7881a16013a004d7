"""What work takes: wall-clock and processor seconds of this process and its ended children, peak memory of the whole tree."""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from rung.store.records import Spend

_GIB = float(1 << 30)


def cpu_seconds() -> float:
    """Processor seconds so far, children that have ended included."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _resident(process: psutil.Process) -> int:
    """Bytes of memory in use; shared pages divided among those who share them, where the system tells."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return int(process.memory_info().rss)


class Stopwatch:
    """Started when made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        return cpu_seconds() - self._cpu

    def spend(self, *, money: float = 0.0, memory_gib: float = 0.0) -> Spend:
        return Spend(seconds=self.seconds, cpu_seconds=self.cpu, money=money, memory_gib=memory_gib)


class PeakMemory:
    """Highest memory of this process and its children together, looked at twice a second.

    Where the system tells (Linux), a page that several processes share counts once in all; elsewhere once for each.
    """

    def __init__(self, every: float = 0.5) -> None:
        self.peak_gib = 0.0
        self._since_gib = 0.0
        self._every = every
        self._stop = threading.Event()

    def look(self) -> None:
        total = 0
        me = psutil.Process()
        with contextlib.suppress(psutil.Error):
            for process in [me, *me.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    total += _resident(process)
        self.peak_gib = max(self.peak_gib, total / _GIB)
        self._since_gib = max(self._since_gib, total / _GIB)

    def restart(self) -> None:
        """Begin a new stretch for `stretch_gib`."""
        self._since_gib = 0.0
        self.look()

    @property
    def stretch_gib(self) -> float:
        """The peak since `restart`."""
        self.look()
        return self._since_gib

    @contextlib.contextmanager
    def watching(self) -> Iterator[PeakMemory]:
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._every):
            self.look()
