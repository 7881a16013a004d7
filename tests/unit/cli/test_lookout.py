"""Drift beside a server's numbers: looked at behind its back, and what goes wrong leaves what was known."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from live_server import until
from watched_run import World, decide_for, write_watched_run

from rung.cli.lookout import Lookout, look_aside
from rung.store.traffic.database import Traffic


def test_a_look_that_fails_leaves_the_last_one_and_the_next_is_taken() -> None:
    turns = iter(["one", None, "three"])
    goes_on = threading.Semaphore(0)
    kept: list[str] = []

    def look(stopped: threading.Event) -> str:
        goes_on.acquire()
        found = next(turns)
        if found is None:
            raise RuntimeError("away")
        return found

    lookout = Lookout(look, 0.001, keep=kept.append)
    assert lookout.text == ""
    goes_on.release()
    assert until(lambda: lookout.text == "one")
    goes_on.release()
    assert until(lambda: lookout.trouble == "away")
    assert lookout.text == "one"
    goes_on.release()
    assert until(lambda: lookout.text == "three")
    assert kept == ["one", "three"]
    goes_on.release()
    lookout.close()


@pytest.mark.slow
def test_a_look_names_what_rings_and_a_server_that_stops_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNG_TRAFFIC", raising=False)
    run, candidate = write_watched_run(tmp_path / "topics")
    decide_for(run, candidate)
    with Traffic.open(run.path / "serving" / "traffic.sqlite") as traffic:
        traffic.add_traces(World(8).traces(300, candidate.id, until=datetime.now(UTC), longer=2.0))
    look = look_aside(run.path, None)
    text = look(threading.Event())
    assert f'rung_drift{{candidate="{candidate.id}",measure="input_length"}} 1\n' in text
    assert f'rung_drift{{candidate="{candidate.id}",measure="labels"}} 0\n' in text
    assert "rung_drift_p_value" in text
    assert "rung_drift_looked_at_seconds" in text
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(RuntimeError, match="ended with -9"):
        look(stopped)
