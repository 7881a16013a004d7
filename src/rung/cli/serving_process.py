"""What one process of `rung serve` does: opens what answers and where traffic goes, and takes questions at a socket."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.cli.traffic import Keep, open_traffic

if TYPE_CHECKING:
    from rung.serving.backend import Backend
    from rung.serving.minute import SharedMinute
    from rung.serving.service import Desk

GRACE = 30.0
"""Seconds for answers under way, once a server has been asked to stop."""


@dataclass(frozen=True)
class Serving:
    """What is served and how; the same for each of several processes."""

    run: Path
    candidate: str | None = None
    keys: bool = True
    backend: Backend | None = None
    state: Path | None = None
    keep: Keep = Keep.texts
    seconds: float = 120.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"run": str(self.run), "state": None if self.state is None else str(self.state)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Serving:
        from rung.serving.backend import Backend

        backend, state = record["backend"], record["state"]
        changed = {
            "run": Path(record["run"]),
            "keep": Keep(record["keep"]),
            "backend": None if backend is None else Backend(**backend),
            "state": None if state is None else Path(state),
        }
        return cls(**record | changed)


@dataclass(frozen=True)
class Beside:
    """What a process shares with others, and who hears of it."""

    started: Callable[[Desk], None] = lambda desk: None
    stopping: Callable[[], None] = lambda: None
    minute: SharedMinute | None = None
    drift: Callable[[], str] | None = None
    """The last look's metrics."""


def serve_at(serving: Serving, door: socket.socket, beside: Beside) -> None:
    """Serve until a signal. Raises as `rung.serve`."""
    from rung.monitoring.spans import sink_from_environment
    from rung.serving.desks import RoutedDesk
    from rung.serving.hosting import host
    from rung.serving.server import run_server
    from rung.serving.service import OneDesk, Service, Settings
    from rung.store.deployment import Deployment
    from rung.store.traffic.writer import TraceWriter

    deployment = Deployment.at(serving.run, serving.state)
    sink = sink_from_environment()
    with open_traffic(deployment.folder, make=True, keep=serving.keep) as traffic:
        if serving.candidate:
            desk: Desk = OneDesk(host(deployment.run, serving.candidate, backend=serving.backend))
        else:
            desk = RoutedDesk(deployment, backend=serving.backend)
        with closing(TraceWriter(traffic, [sink] if sink else [])) as writer:
            service = Service(
                desk,
                book=traffic,
                traces=writer,
                keys=serving.keys,
                settings=Settings(seconds=serving.seconds, grace=GRACE),
                name=deployment.run.name,
                minute=beside.minute,
            )
            if beside.drift is not None:
                service.gauges.more.append(beside.drift)
            run_server(service, door, started=lambda: beside.started(desk), stopping=beside.stopping)
