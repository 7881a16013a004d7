"""Several processes at one address: one limit, one sum of numbers, a dead one replaced, and an end in order."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_server import until
from served_runs import make_run

import rung
from rung.core.durable import write_json
from rung.core.model import ModelRef
from rung.store.deployment import Deployment
from rung.store.runs import RunFolder
from rung.store.traffic.database import Traffic

_SERVE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from rung.cli.main import main; main()"
)


class Together:
    """`rung serve --processes 2` over a run whose candidates say one word, and a key to it."""

    def __init__(self, folder: Path) -> None:
        self.run, names = make_run(folder / "run", "old", "new")
        self.candidates = [self._says(name, text) for name, text in zip(names, ("old", "new"), strict=True)]
        self.key = rung.new_key(self.run, "desk", scopes=("answer", "metrics"), requests_per_minute=40)[1]
        self.errors = (folder / "errors").open("w+", encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if name != "RUNG_TRAFFIC"} | {
            "RUNG_LANG": "en"
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, "serve", str(self.run), "--port", "0", "--processes", "2"],
            stderr=self.errors, env=environment,
        )  # fmt: skip
        assert until(lambda: "note:" in self.said() or self.process.poll() is not None, 120), "it did not start"
        self.port = int(re.search(r"127\.0\.0\.1:(\d+)", self.said())[1])  # type: ignore[index]

    def _says(self, name: str, text: str) -> str:
        folder = RunFolder(self.run)
        candidate = folder.read_candidate(name)
        ref = ModelRef(kind="fake", id="m", options={"choices": True, "context_tokens": 0, "default": text})
        write_json(
            folder.candidate_folder(name) / "candidate.json",
            candidate.model_copy(update={"model": ref}).model_dump(mode="json"),
        )
        return name

    def said(self) -> str:
        return Path(self.errors.name).read_text("utf-8")

    def ask(self, path: str = "/v1/chat/completions", key: str = "") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = None if path == "/metrics" else json.dumps({"messages": [{"role": "user", "content": "hi"}]})
        try:
            connection.request(
                "GET" if body is None else "POST", path, body, {"authorization": f"Bearer {key or self.key}"}
            )
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def number(self, name: str, key: str = "") -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.ask("/metrics", key)[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(each) for each in children]


@pytest.fixture
def together(tmp_path: Path) -> Iterator[Together]:
    found = Together(tmp_path)
    try:
        yield found
    finally:
        workers = found.workers() if found.process.poll() is None else []
        found.process.kill()
        found.process.wait()
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        found.errors.close()


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks at processes through /proc"),
]


def test_two_processes_are_one_server(together: Together) -> None:
    assert until(lambda: together.number("rung_processes") == 2, 60)
    answers = [together.ask() for _ in range(50)]
    assert Counter(status for status, _ in answers) == {200: 40, 429: 10}
    name = 'rung_requests_total{route="/v1/chat/completions",status="200"}'
    assert together.number(name) == 40
    other = rung.new_key(together.run, "other", scopes=("answer", "metrics"))[1]
    victim = together.workers()[0]
    os.kill(victim, signal.SIGKILL)
    assert until(lambda: len(together.workers()) == 2 and victim not in together.workers(), 60)
    assert f"process {victim} ended with -9" in together.said()
    assert until(lambda: together.number("rung_processes", other) == 2, 60)
    assert together.number(name, other) == 40, "what the dead one had counted stays counted"
    Deployment.at(together.run).promote(together.run, together.candidates[1])
    assert until(lambda: all('"new"' in together.ask(key=other)[1] for _ in range(6)), 60)
    os.kill(together.process.pid, signal.SIGTERM)
    assert together.process.wait(60) == 0
    assert "stopping" in together.said()
    with Traffic.open(together.run / "serving" / "traffic.sqlite") as traffic:
        assert traffic.mended is None
        assert len(list(traffic.traces())) >= 46


def test_when_the_first_process_is_killed_the_others_end_by_themselves(together: Together) -> None:
    workers = together.workers()
    together.process.kill()
    together.process.wait()
    assert until(lambda: not any(alive(worker) for worker in workers), 60)


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_stands_in_the_way_of_all_is_said_once(tmp_path: Path) -> None:
    run, _ = make_run(tmp_path / "run", "a")
    (run / "decision.json").unlink()
    done = subprocess.run(
        [sys.executable, "-c", _SERVE, "serve", str(run), "--port", "0", "--processes", "2"],
        capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"RUNG_LANG": "en"},
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.count("E1307") == 1
    assert "E7008" in done.stderr
