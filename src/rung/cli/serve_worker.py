"""One of the processes of `rung serve --processes N`: `python -m rung.cli.serve_worker ORDER`, begun by the first one."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.cli.serving_process import Beside, Serving, serve_at
from rung.cli.spoken import own_language, say
from rung.core.errors import InterruptedRun, RungError

if TYPE_CHECKING:
    from rung.serving.service import Desk

MINUTE, DRIFT, METRICS = "minute", "drift.prom", "metrics"
"""Names in the folder that the processes of one server share."""


@dataclass(frozen=True)
class Order:
    """What a process is told: numbers of open sockets that it inherits, and the folder that all share."""

    serving: dict[str, Any]
    door: int
    link: int
    folder: str

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Ready:
    """What a process says of itself once it takes questions."""

    candidate: str
    other_engine: str


def main() -> None:
    from rung.serving.crew import Link
    from rung.serving.minute import SharedMinute

    order = Order(**json.loads(sys.argv[1]))
    link, folder = Link(order.link), Path(order.folder)

    def started(desk: Desk) -> None:
        link.tell("ready", asdict(Ready(desk.champion.name, desk.champion.other_engine)))

    beside = Beside(started=started, minute=SharedMinute(folder / MINUTE), drift=lambda: _drift(folder / DRIFT))
    try:
        serve_at(Serving.from_json(order.serving), socket.socket(fileno=order.door), beside)
    except InterruptedRun as error:
        link.tell("cut", error.problems[0].values.get("n", 0))
        sys.exit(error.exit_code)
    except RungError as error:
        for line in error.lines(own_language()):
            say(line)
        sys.exit(error.exit_code)


def _drift(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""


def environment(folder: Path, size: int) -> dict[str, str]:
    """Of a process that adds its numbers to the others', and has its share of the processors."""
    from rung.serving.gauges import SHARED

    (folder / METRICS).mkdir(exist_ok=True)
    share = str(
        max(1, len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)) // size)
    )
    return {"OMP_NUM_THREADS": share} | os.environ | {SHARED: str(folder / METRICS)}


if __name__ == "__main__":
    main()
