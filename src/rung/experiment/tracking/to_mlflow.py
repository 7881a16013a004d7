"""Events of a run sent to an MLflow server over its REST interface: a parent run, and a child run for every rung."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rung.experiment.tracking.events import Event
from rung.experiment.tracking.queue import Queue

_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
}
"""Nothing is reported to anybody else, and a server that is down is found out at once: waiting is the queue's business."""
_METRICS, _PARAMS, _LONGEST = 900, 90, 500
"""Metrics and parameters of one request, characters of a parameter: below the limits of every server since 2.0."""
_STATUS = {"done": "FINISHED", "failed": "FAILED", "skipped": "KILLED", "blocked": "KILLED"}
_REFUSED = frozenset(range(400, 500)) - {401, 403, 404, 408, 429}
"""Replies after which sending the same again is no use."""


class MLflow:
    """Sends to one experiment. Which of its runs is which of ours lies in the queue's folder."""

    name = "mlflow"

    def __init__(self, address: str, experiment: str, run: Path, queue: Queue) -> None:
        os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
        self._address, self._experiment, self._run, self._queue = address, experiment, run, queue
        self._made: Any = None
        self.refused = 0
        """Events that the server would not take."""

    def send(self, events: Sequence[Event]) -> None:
        """Raises mlflow's MlflowException, or OSError, where the server cannot be reached."""
        for (series, kind), part in groupby(events, key=lambda event: (event["series"], event["kind"])):
            self._send(series, kind, list(part))

    def close(self) -> None:
        self._made = None

    def _send(self, series: str, kind: str, events: Sequence[Event]) -> None:
        from mlflow.exceptions import RestException

        try:
            self._offer(self._run_of(series, events[0]), kind, events)
        except RestException as error:
            status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
            if status not in _REFUSED:
                raise
            self.refused += len(events)

    def _offer(self, run: str, kind: str, events: Sequence[Event]) -> None:
        from mlflow.entities import Metric, Param

        if kind in {"step", "result"}:
            metrics = [
                Metric(name, value, round(1000 * event["at"]), int(event.get("step", 0)))
                for event in events
                for name, value in event["values"].items()
            ]
            for some in _cut(metrics, _METRICS):
                self._client.log_batch(run, metrics=some)
        elif kind in {"settings", "run"}:
            values = {name: value for event in events for name, value in event["values"].items()}
            params = [Param(name, str(value)[:_LONGEST]) for name, value in values.items()]
            for some in _cut(params, _PARAMS):
                self._client.log_batch(run, params=some)
        elif kind == "end":
            for one in (run, *self._parts_of(events[-1]["series"])):
                self._client.set_terminated(one, _STATUS.get(events[-1]["status"], "FINISHED"))
        elif kind == "file":
            for event in events:
                path = self._run / event["path"]
                if path.is_file():
                    self._client.log_artifact(run, str(path))

    def _parts_of(self, series: str) -> list[str]:
        """Runs of the seeds and trials of a rung."""
        known: dict[str, str] = self._queue.read(self.name).get("runs", {})
        return [run for name, run in known.items() if series and _is_part(name) and name.startswith(f"{series}/")]

    @property
    def _client(self) -> Any:
        if self._made is None:
            from mlflow import MlflowClient

            self._made = MlflowClient(tracking_uri=self._address)
        return self._made

    def _run_of(self, series: str, event: Event) -> str:
        """The server's id of a series' run, which is made where there is none yet."""
        state = self._queue.read(self.name)
        known: dict[str, str] = state.get("runs", {})
        if series not in known:
            key = state.get("key") or uuid.uuid4().hex
            if "key" not in state:
                self._queue.write(self.name, {**state, "key": key})
            known[series] = self._found(series, key) or self._new(series, key, event)
            self._queue.write(self.name, {**self._queue.read(self.name), "runs": known})
        return known[series]

    def _found(self, series: str, key: str) -> str | None:
        """A run that was made before a kill, and not written down."""
        where = f"tags.`rung.key` = '{key}' and tags.`rung.series` = '{_plain(series)}'"
        runs = self._client.search_runs([self._experiment_id], where, max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def _new(self, series: str, key: str, event: Event) -> str:
        tags = {"rung.key": key, "rung.series": _plain(series), "mlflow.source.name": "rung"}
        if series:
            # A seed or trial lies below its rung, a rung below the run.
            parent = series.rpartition("/")[0] if _is_part(series) else ""
            tags["mlflow.parentRunId"] = self._run_of(parent, event)
        made = self._client.create_run(
            self._experiment_id,
            start_time=round(1000 * event["at"]),
            tags=tags,
            run_name=series or self._run.name,
        )
        return str(made.info.run_id)

    @property
    def _experiment_id(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        return str(found.experiment_id if found else self._client.create_experiment(self._experiment))


def _is_part(series: str) -> bool:
    return series.rpartition("/")[2].partition("-")[0] in {"seed", "trial"} and "/" in series


def _plain(text: str) -> str:
    """Without the quotes that a filter could trip over."""
    return text.replace("'", "_").replace("`", "_").replace('"', "_")


def _cut(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
