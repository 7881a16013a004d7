"""The other processes of a training that several share: started by the first, and gone with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rung.training.group import environment, free_port

_GRACE = 20.0


def rank() -> int:
    """This process's place in its group; 0 where it is alone."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def joined_by(folder: Path, count: int) -> Iterator[None]:
    """Start the others of a group of `count`, of which this process becomes the first.

    Where the environment has put this process into a group already, as torchrun or accelerate do over several machines, nothing is
    started.
    """
    if count < 2 or "WORLD_SIZE" in os.environ:
        yield
        return
    port = free_port()
    os.environ |= environment(0, count, port)
    others: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "child.log").open("ab") as log:
            for number in range(1, count):
                others.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "rung.training.runner", str(folder)],
                        stdout=subprocess.DEVNULL,
                        stderr=log,
                        env={**os.environ, **environment(number, count, port)},
                    )
                )
        yield
        for other in others:
            other.wait(_GRACE)
    finally:
        for other in others:
            if other.poll() is None:
                other.kill()
                other.wait()
