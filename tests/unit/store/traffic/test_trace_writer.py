"""Traces are written behind the answers' back: never in their way, never lost without being counted."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import traffic_kills
from traffic_store import a_trace, a_word

from rung.core.errors import BackendError, DataError
from rung.store.traffic.database import Traffic
from rung.store.traffic.records import Trace
from rung.store.traffic.writer import TraceWriter


class Heard:
    def __init__(self, refuse: bool = False) -> None:
        self.ids: list[str] = []
        self.closed = False
        self._refuse = refuse

    def add(self, trace: Trace) -> None:
        if self._refuse:
            raise RuntimeError("not today")
        self.ids.append(trace.id)

    def close(self) -> None:
        self.closed = True


class Refusing:
    """A database that is away until it is let back."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.kept: list[Trace] = []

    def add_traces(self, found: Sequence[Trace]) -> None:
        if not self.back.is_set():
            raise BackendError("E7052", place="here", reason="away")
        self.kept.extend(found)

    def back_up_when_due(self) -> bool:
        return False


def test_everything_added_is_written_and_told(tmp_path: Path) -> None:
    traces = [a_trace(n) for n in range(450)]
    heard, deaf = Heard(), Heard(refuse=True)
    with Traffic.open(tmp_path / "t.sqlite") as traffic:
        writer = TraceWriter(traffic, [deaf, heard])
        for trace in traces:
            writer.add(trace)
        writer.close()
        assert (writer.written, writer.dropped, writer.failed, writer.untold) == (450, 0, 0, 450)
        assert [trace.id for trace in traffic.traces()] == [trace.id for trace in traces]
        writer.add(a_trace())
        assert writer.dropped == 1
    assert heard.ids == [trace.id for trace in traces]
    assert heard.closed


def test_a_word_may_come_before_its_trace_is_written(tmp_path: Path) -> None:
    with Traffic.open(tmp_path / "t.sqlite") as traffic:
        writer = TraceWriter(traffic)
        trace = a_trace()
        writer.add(trace)
        writer.add_feedback(a_word(trace))
        assert len(list(traffic.feedback())) == 1
        with pytest.raises(DataError, match="E7050"):
            writer.add_feedback(a_word(trace, tenant="another"))
        writer.close()


def test_one_trace_that_cannot_be_held_keeps_no_other_out(tmp_path: Path) -> None:
    with Traffic.open(tmp_path / "t.sqlite") as traffic:
        writer = TraceWriter(traffic)
        writer.add(a_trace(1))
        writer.add(a_trace(2, tokens_in=1 << 70))
        writer.add(a_trace(3, inputs={"question": {1, 2}}))
        writer.add(a_trace(4))
        assert writer.flush()
        assert (writer.written, writer.failed) == (2, 2)
        assert len(list(traffic.traces())) == 2
        writer.close()


def test_while_the_database_is_away_traces_wait_and_what_has_no_room_is_counted() -> None:
    away = Refusing()
    writer = TraceWriter(away, room=5)  # type: ignore[arg-type]
    began = time.monotonic()
    for n in range(8):
        writer.add(a_trace(n))
    assert time.monotonic() - began < 5
    assert not writer.flush(timeout=0.05)
    assert writer.dropped == 3
    away.back.set()
    assert writer.flush(timeout=30)
    assert len(away.kept) == writer.written == 5
    writer.close()


def test_closing_while_the_database_is_away_ends_and_counts() -> None:
    writer = TraceWriter(Refusing())  # type: ignore[arg-type]
    writer.add(a_trace())
    writer.flush(timeout=0.05)
    writer.close(timeout=30)
    assert (writer.written, writer.dropped) == (0, 1)
    assert "away" in writer.trouble


def killed(folder: Path, kills: int) -> dict[str, int]:
    home = Path(traffic_kills.__file__).parent
    done = subprocess.run(
        [sys.executable, traffic_kills.__file__, folder / "traffic.sqlite", str(kills)],
        cwd=home, capture_output=True, text=True, check=False, timeout=3000,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_what_was_acknowledged_is_there_after_every_kill(tmp_path: Path) -> None:
    found = killed(tmp_path, 20)
    assert found["acknowledged"] >= 20
    assert (found["missing"], found["mended"]) == (0, 0)


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_two_hundred_kills(tmp_path: Path) -> None:
    found = killed(tmp_path, 200)
    assert found["acknowledged"] >= 200
    assert (found["missing"], found["mended"]) == (0, 0)
