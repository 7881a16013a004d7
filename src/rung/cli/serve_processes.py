"""How `rung serve` is brought to life: in this process alone, or in several that share one address."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rung.cli.lookout import Lookout, look_aside
from rung.cli.serve_worker import DRIFT, METRICS, Order, environment
from rung.cli.serving_process import GRACE, Beside, Serving, serve_at


class Begun(Protocol):
    def __call__(self, name: str, other_engine: str) -> None: ...


class Say(Protocol):
    def __call__(self, key: str, **values: Any) -> None: ...


@dataclass(frozen=True)
class Talk:
    """What people are told. `begun`: that questions are taken, by whom; `say`: words under `serve.`."""

    begun: Begun
    say: Say


def serve_alone(serving: Serving, door: socket.socket, talk: Talk, *, drift_every: float) -> None:
    """Serve in this process until a signal."""
    lookout = Lookout(look_aside(serving.run, serving.state), drift_every) if drift_every else None
    try:
        beside = Beside(
            started=lambda desk: talk.begun(desk.champion.name, desk.champion.other_engine),
            stopping=lambda: talk.say("stopping"),
            drift=None if lookout is None else lambda: lookout.text,
        )
        serve_at(serving, door, beside)
    finally:
        if lookout is not None:
            lookout.close()


def serve_together(serving: Serving, door: socket.socket, talk: Talk, *, size: int, drift_every: float) -> None:
    """Serve in `size` processes until a signal. This one only looks after them: it opens no model.

    Raises BackendError E7008 where they cannot start, InterruptedRun E7004 where requests had to be cut.
    """
    from prometheus_client.multiprocess import mark_process_dead

    from rung.core.errors import InterruptedRun
    from rung.serving.crew import Crew, Told

    door.listen(1024)
    with _shared_folder() as folder:
        own = os.environ | environment(folder, size)

        def start(number: int, link: int) -> subprocess.Popen[bytes]:
            order = Order(serving.to_json(), door.fileno(), link, str(folder))
            return subprocess.Popen(
                [sys.executable, "-m", "rung.cli.serve_worker", order.to_json()],
                stdin=subprocess.DEVNULL,
                pass_fds=(door.fileno(), link),
                env=own,
                start_new_session=True,
            )

        told = Told(
            ready=lambda ready: talk.begun(ready["candidate"], ready["other_engine"]),
            stopping=lambda: talk.say("stopping"),
            died=lambda pid, code, pause: talk.say("died", pid=pid, code=code, seconds=f"{pause:g}"),
            gone=lambda pid: mark_process_dead(pid, str(folder / METRICS)),  # type: ignore[no-untyped-call]
        )
        lookout = None
        if drift_every:
            keep = folder / DRIFT
            lookout = Lookout(
                look_aside(serving.run, serving.state), drift_every, keep=lambda text: _replace(keep, text)
            )
        try:
            cut = Crew(size, start, grace=GRACE, told=told).run()
        finally:
            if lookout is not None:
                lookout.close()
    if cut:
        raise InterruptedRun("E7004", n=cut, seconds=f"{GRACE:g}")


def _replace(path: Path, text: str) -> None:
    working = path.with_suffix(".new")
    working.write_text(text, "utf-8")
    working.replace(path)


@contextmanager
def _shared_folder() -> Iterator[Path]:
    """In memory where the system has such a place: nothing in it outlives the server."""
    memory = "/dev/shm"
    folder = tempfile.mkdtemp(prefix="rung-serve-", dir=memory if os.access(memory, os.W_OK) else None)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
