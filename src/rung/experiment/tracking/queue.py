"""The queue of a run's events: a log that only grows, and for every receiver how far into it has arrived."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rung.core.append_log import AppendLog, read_log
from rung.core.durable import write_json
from rung.experiment.tracking.events import Event

FOLDER = "tracking"


class Queue:
    """`tracking/` of a run folder. What has been added is never lost; what has arrived is not sent again."""

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER
        self.path = self.folder / "queue.jsonl"
        self.events: list[Event] = read_log(self.path)
        """All that were ever added."""

    def add(self, events: Sequence[Event]) -> None:
        if events:
            with AppendLog(self.path) as log:
                log.add(events)
            self.events += events

    def waiting(self, receiver: str, most: int = 500) -> list[Event]:
        """The next events that a receiver has not got."""
        sent = self.sent(receiver)
        return self.events[sent : sent + most]

    def left(self, receiver: str) -> int:
        return len(self.events) - self.sent(receiver)

    def sent(self, receiver: str) -> int:
        return int(self.read(receiver).get("sent", 0))

    def arrived(self, receiver: str, n: int) -> None:
        """The next n have arrived."""
        self.write(receiver, {**self.read(receiver), "sent": self.sent(receiver) + n})

    def read(self, name: str) -> dict[str, Any]:
        path = self.folder / f"{name}.json"
        try:
            found = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write(self, name: str, record: dict[str, Any]) -> None:
        write_json(self.folder / f"{name}.json", record)
