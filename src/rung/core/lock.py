"""One process at a time on a folder: a run, a data set."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rung.core.durable import writing
from rung.core.errors import InterruptedRun


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder for this process. A second process gets InterruptedRun E4002, which names the holder.

    The operating system drops the lock when its holder dies, so a lock is never stale.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise InterruptedRun("E4002", run=folder, holder=file.read().strip() or "another process") from error
        file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
        file.flush()
        yield
