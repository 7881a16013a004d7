"""A server that is asked to stop: not ready first, answers under way finished, then the end; a second signal at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

SERVER = """
import signal, sys, time
# Tests that run in the background inherit that an interrupt is not for them.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {tests!r})
from live_server import SlowModel, hosted_of, Kept
from rung.core.errors import InterruptedRun
from rung.serving.server import listen, run_server
from rung.serving.service import OneDesk, Service, Settings
door = listen("127.0.0.1", 0)
model = SlowModel(default="a b c d e f g h", pause={pause})
service = Service(OneDesk(hosted_of(model, max_tokens=64)), traces=Kept(), keys=False, settings=Settings(grace={grace}))
try:
    run_server(service, door, started=lambda: print(door.getsockname()[1], flush=True))
except InterruptedRun as error:
    print(error.code, flush=True)
    sys.exit(error.exit_code)
print("drained", flush=True)
"""


class Child:
    def __init__(self, *, pause: float, grace: float) -> None:
        tests = str(Path(__file__).parents[2])
        code = SERVER.format(tests=tests, pause=pause, grace=grace)
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.answers: list[tuple[int, str]] = []

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            code = error.code
            error.close()
            return code

    def ask(self) -> None:
        body = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/chat/completions", body, timeout=20) as reply:
                self.answers.append((reply.status, json.load(reply)["choices"][0]["message"]["content"]))
        except urllib.error.HTTPError as error:
            self.answers.append((error.code, error.headers.get("retry-after", "")))
            error.close()
        except OSError as error:
            self.answers.append((0, type(error).__name__))

    def under_way(self, n: int) -> list[threading.Thread]:
        threads = [threading.Thread(target=self.ask) for _ in range(n)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        return threads

    def end(self, seconds: float = 15) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, out


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_answers_under_way_are_finished_and_new_ones_turned_away(number: int) -> None:
    with Child(pause=1.0, grace=60) as child:
        assert child.get("/ready") == 200
        threads = child.under_way(3)
        os.kill(child.process.pid, number)
        # On a machine with much else to do the signal takes a while to be heard; the answers take longer.
        until = time.monotonic() + 8
        while child.get("/ready") == 200 and time.monotonic() < until:
            time.sleep(0.02)
        assert child.get("/ready") == 503
        assert child.get("/health") == 200
        child.ask()
        assert (503, "2") in child.answers
        for thread in threads:
            thread.join(30)
        assert sorted(child.answers) == [(200, "a b c d e f g h")] * 3 + [(503, "2")]
        assert child.end() == (0, "drained\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_when_the_grace_is_over_the_rest_is_cut_and_the_code_says_so() -> None:
    with Child(pause=1.0, grace=1.0) as child:
        threads = child.under_way(1)
        started = time.monotonic()
        os.kill(child.process.pid, signal.SIGTERM)
        code, out = child.end()
        assert time.monotonic() - started < 10
        assert (code, out) == (5, "E7004\n")
        for thread in threads:
            thread.join(5)
        assert child.answers == [(503, "5")]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_second_signal_ends_at_once() -> None:
    with Child(pause=2.0, grace=60) as child:
        threads = child.under_way(1)
        os.kill(child.process.pid, signal.SIGTERM)
        time.sleep(1.0)
        started = time.monotonic()
        os.kill(child.process.pid, signal.SIGTERM)
        assert child.end()[0] == 128 + signal.SIGTERM
        assert time.monotonic() - started < 10
        for thread in threads:
            thread.join(5)
