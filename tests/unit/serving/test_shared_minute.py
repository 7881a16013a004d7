"""Requests of a key in one minute, over all processes that answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rung.serving.minute import _NEAR, _SLOTS, SharedMinute

_ASKS = """
import sys
from pathlib import Path
from rung.serving.minute import SharedMinute
minute = SharedMinute(Path(sys.argv[1]))
print(sum(minute.ask("desk", 500) == 0 for _ in range(400)))
"""


def test_no_minute_holds_more_than_the_limit_wherever_it_begins(tmp_path: Path) -> None:
    now = [1000.25]
    minute = SharedMinute(tmp_path / "minute", clock=lambda: now[0])
    taken: list[float] = []
    while now[0] < 1300:
        if not minute.ask("desk", 7):
            taken.append(now[0])
        now[0] += 0.75
    assert max(sum(start <= each < start + 60 for each in taken) for start in taken) == 7
    assert len(taken) >= 7 * 4
    minute.close()


def test_who_is_refused_is_told_when_there_is_room_and_others_are_not(tmp_path: Path) -> None:
    now = [50.0]
    minute = SharedMinute(tmp_path / "minute", clock=lambda: now[0])
    assert minute.ask("desk", 1) == 0
    wait = minute.ask("desk", 1)
    assert 60 <= wait <= 61
    assert minute.ask("other", 1) == 0
    now[0] += wait
    assert minute.ask("desk", 1) == 0


def test_more_keys_than_slots_leave_everybody_in(tmp_path: Path) -> None:
    minute = SharedMinute(tmp_path / "minute", clock=lambda: 9.0)
    assert not any(minute.ask(f"key {n}", 1) for n in range(_SLOTS + _NEAR))


def test_several_processes_count_together(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", _ASKS, str(tmp_path / "minute")], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    allowed = [int(child.communicate(timeout=60)[0]) for child in children]
    assert all(child.returncode == 0 for child in children)
    assert sum(allowed) == 500
