"""The real servers of TensorBoard and MLflow on loopback: what was told is there, and a server that was down gets it later."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from test_tracking import CELL, told_run

from rung.core.errors import Problem
from rung.experiment.tracking.events import event
from rung.experiment.tracking.targets import Targets
from rung.experiment.tracking.tracker import Tracker

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
_UP = 300.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(arguments: list[str], url: str, log: Path) -> Iterator[str]:
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("wb") as out:
        child = subprocess.Popen([sys.executable, "-m", *arguments], stdout=out, stderr=out, env=environment)
    try:
        until = time.monotonic() + _UP
        while not _answers(url):
            if child.poll() is not None or time.monotonic() > until:
                pytest.skip(f"the server does not start here: {log.read_text('utf-8', 'replace')[-400:]}")
            time.sleep(0.5)
        yield url
    finally:
        child.terminate()
        child.wait(30)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (URLError, OSError):
        return False


def fetched(url: str) -> Any:
    with urlopen(url, timeout=20) as reply:
        return json.loads(reply.read())


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Callable[[int], Any]:
    pytest.importorskip("mlflow.server")
    home = tmp_path / "server"
    home.mkdir()

    def start(port: int) -> Any:
        arguments = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        arguments += [
            "--backend-store-uri",
            f"sqlite:///{home}/store.db",
            "--artifacts-destination",
            str(home / "files"),
        ]
        return serving(arguments, f"http://127.0.0.1:{port}/health", home / "log")

    return start


def test_mlflow_gets_a_run_that_began_while_its_server_was_down(
    tmp_path: Path, mlflow_server: Callable[[int], Any]
) -> None:
    from mlflow import MlflowClient

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    events, run = told_run(tmp_path)
    targets = Targets(mlflow=address, experiment="desk")
    warned: list[Problem] = []
    first = Tracker(run, targets, warned.append)
    first.tell(events[:3])
    assert first.finish() == {"mlflow": 3}
    assert [problem.code for problem in warned] == ["E4740", "E4741"]
    with mlflow_server(port):
        second = Tracker(run, targets)
        second.tell([*events[3:], event("end", status="done")])
        assert second.finish() == {"mlflow": 0}
        client = MlflowClient(tracking_uri=address)
        experiment = client.get_experiment_by_name("desk")
        runs = {found.info.run_name: found for found in client.search_runs([experiment.experiment_id])}
        assert set(runs) == {"desk-1", CELL.name, f"{CELL.name}/seed-2"}
        rung = runs[CELL.name]
        history = client.get_metric_history(rung.info.run_id, "train/loss")
        assert [(point.step, point.value) for point in history] == [(1, 2.0), (2, 1.0)]
        assert rung.data.metrics["test/accuracy"] == 0.75
        assert rung.data.params["rank"] == "16"
        assert rung.info.status == "FINISHED"
        assert runs[f"{CELL.name}/seed-2"].info.status == "FINISHED"
        parents = {name: found.data.tags.get("mlflow.parentRunId") for name, found in runs.items()}
        assert parents[CELL.name] == runs["desk-1"].info.run_id
        assert parents[f"{CELL.name}/seed-2"] == rung.info.run_id
        assert [found.path for found in client.list_artifacts(runs["desk-1"].info.run_id)] == ["report.md"]


def test_tensorboards_server_shows_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    events, run = told_run(tmp_path)
    told = Tracker(run, Targets(tensorboard="../board"))
    told.tell(events)
    told.finish()
    port = free_port()
    arguments = ["tensorboard.main", "--logdir", str(tmp_path / "board"), "--host", "127.0.0.1", "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with serving([*arguments, "--load_fast", "false"], f"{address}/data/environment", tmp_path / "log"):
        until = time.monotonic() + 60
        while not (tags := fetched(f"{address}/data/plugin/scalars/tags")) and time.monotonic() < until:
            time.sleep(0.5)
        name = f"desk-1/{CELL.name}"
        assert {"train/loss", "dev/score", "test/accuracy"} <= set(tags[name])
        points = fetched(f"{address}/data/plugin/scalars/scalars?run={name}&tag=train/loss")
        assert [(step, value) for _, step, value in points] == [(1, 2.0), (2, 1.0)]
