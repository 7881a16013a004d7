"""How much one file, one archive and one child process may take."""

from __future__ import annotations

import os
from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Where reading stops. A file beyond a limit is listed as failed, and the others go on."""

    seconds: int = 60
    """Computing time for one file."""
    wall_seconds: int = 180
    """Time on the clock for one file; more than the computing time, since the machine may be busy."""
    memory_mib: int = 1024
    """Address space of a child process."""
    file_mib: int = 200
    """One file, or one entry of an archive when unpacked."""
    text_mib: int = 128
    """What the text of one file may come to."""
    entries: int = 10_000
    """Entries of one archive."""
    archive_mib: int = 1024
    """One archive when unpacked."""
    ratio: int = 100
    """Unpacked bytes to one packed byte."""
    workers: int = 0
    """Child processes; 0: as many as this process may use cores, and at most 8."""

    @property
    def processes(self) -> int:
        # Not every system tells which cores a process may use.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return self.workers or min(cores, 8)
