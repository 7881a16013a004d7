"""Events of a run as TensorBoard's event files: a folder for every rung, the report as text beside them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rung.experiment.tracking.events import Event


class TensorBoard:
    """Writes under `folder/<run>/<rung>`. Raises OSError where that is not possible."""

    name = "tensorboard"

    def __init__(self, folder: Path, run: Path) -> None:
        self._home, self._run = folder / run.name, run
        self._writers: dict[str, Any] = {}

    def send(self, events: Sequence[Event]) -> None:
        for event in events:
            self._write(event)
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, series: str) -> Any:
        if series not in self._writers:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter

            folder = self._home / series if series else self._home
            folder.mkdir(parents=True, exist_ok=True)
            self._writers[series] = EventFileWriter(str(folder))
        return self._writers[series]

    def _write(self, event: Event) -> None:
        values = event.get("values") or {}
        if event["kind"] in {"step", "result"}:
            self._numbers(event, values)
        elif event["kind"] in {"settings", "run"}:
            rows = "\n".join(f"| {name} | {json.dumps(value, ensure_ascii=False)} |" for name, value in values.items())
            self._text(event, event["kind"], f"| | |\n|---|---|\n{rows}")
        elif event["kind"] == "file":
            path = self._run / event["path"]
            if path.is_file():
                self._home.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, self._home / path.name)
                if path.suffix == ".md":
                    self._text(event, path.stem, path.read_text("utf-8"))

    def _numbers(self, event: Event, values: dict[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Written
        from tensorboard.compat.proto.summary_pb2 import Summary

        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        self._writer(event["series"]).add_event(
            Written(wall_time=event["at"], step=int(event.get("step", 0)), summary=summary)
        )

    def _text(self, event: Event, tag: str, text: str) -> None:
        from tensorboard.compat.proto.event_pb2 import Event as Written
        from tensorboard.plugins.text.summary_v2 import text_pb

        self._writer(event["series"]).add_event(Written(wall_time=event["at"], step=0, summary=text_pb(tag, text)))
