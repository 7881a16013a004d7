"""Processes that are looked after: begun anew when one dies, ended with what they had to cut, and not begun again when none can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rung.core.errors import BackendError
from rung.serving.crew import Crew, Told

_CHILD = """
import os, signal, socket, sys, time
link, marks, number, first = socket.socket(fileno=int(sys.argv[1])), sys.argv[2], sys.argv[3], sys.argv[4]
def stop(*_):
    link.sendall(b'["cut", 2]\\n')
    os._exit(5)
signal.signal(signal.SIGTERM, stop)
if first == "broken":
    sys.exit(3)
if first == "dies" and not os.path.exists(marks):
    open(marks, "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
link.sendall(b'["ready", {"number": ' + number.encode() + b'}]\\n')
time.sleep(60)
"""


def starting(marks: Path, how: dict[int, str], begun: list[int]) -> Callable[[int, int], subprocess.Popen[bytes]]:
    def start(number: int, link: int) -> subprocess.Popen[bytes]:
        begun.append(number)
        return subprocess.Popen(
            [sys.executable, "-S", "-c", _CHILD, str(link), str(marks), str(number), how.get(number, "")],
            pass_fds=(link,),
            start_new_session=True,
        )

    return start


def test_who_dies_is_replaced_and_a_signal_ends_all_in_order(tmp_path: Path) -> None:
    begun: list[int] = []
    told: list[object] = []

    def ready(said: object) -> None:
        told.append(said)
        os.kill(os.getpid(), signal.SIGTERM)

    crew = Crew(
        3,
        starting(tmp_path / "died", {1: "dies"}, begun),
        grace=30,
        told=Told(
            ready=ready,
            stopping=lambda: told.append("stopping"),
            died=lambda _, code, pause: told.append((code, pause)),
        ),
    )
    before = signal.getsignal(signal.SIGTERM)
    assert crew.run() == 6, "each of the three had to cut two requests"
    assert begun[0] == 0, "the first one alone"
    assert sorted(begun) == [0, 1, 1, 2]
    assert told == [(-9, 1.0), {"number": 0}, "stopping"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_where_the_first_cannot_begin_nobody_is_begun(tmp_path: Path) -> None:
    begun: list[int] = []
    with pytest.raises(BackendError) as refused:
        Crew(3, starting(tmp_path / "x", {0: "broken"}, begun), grace=30).run()
    assert refused.value.code == "E7008"
    assert "3" in str(refused.value)
    assert begun == [0]
