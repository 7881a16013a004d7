"""`rung traffic`: a look first, then old answers or one person's are gone, in both languages and for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from served_runs import make_run
from traffic_store import a_trace, a_word, bytes_of
from typer.testing import CliRunner, Result

import rung
from rung.cli.main import app
from rung.core.errors import DataError, UsageError
from rung.store.traffic.database import Traffic

NAME = "Ada Lovelace"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three answers of long ago and two of today, one of each of a person who gave her name."""
    monkeypatch.setenv("RUNG_LANG", "en")
    monkeypatch.delenv("RUNG_TRAFFIC", raising=False)
    path, _ = make_run(tmp_path / "desk", "a")
    now = datetime.now(UTC)
    traces = [a_trace(n, at=now - timedelta(days=100)) for n in range(3)] + [a_trace(n, at=now) for n in range(2)]
    traces[0] = a_trace(inputs={"question": f"I am {NAME}"}, at=traces[0].at)
    with Traffic.open(path / "serving" / "traffic.sqlite") as traffic:
        traffic.add_traces(traces)
        traffic.add_feedback(a_word(traces[-1], comment=f"said {NAME.upper()}"))
        traffic.back_up()
    return path


def call(*arguments: object) -> Result:
    done = CliRunner().invoke(app, ["traffic", *(str(each) for each in arguments)])
    assert done.exception is None, done.exception
    return done


def left(run: Path) -> int:
    with Traffic.open(run / "serving" / "traffic.sqlite") as traffic:
        return len(list(traffic.traces()))


def test_old_answers_are_counted_and_then_taken_out(run: Path) -> None:
    looked = call("prune", run, "--older-than", "90d")
    assert "3 answers and 0 words" in looked.stdout
    assert "--yes" in looked.stderr
    assert left(run) == 5
    done = call("prune", run, "--older-than", "90d", "--yes", "--json")
    assert json.loads(done.stdout) == {"done": True, "traces": 3, "feedback": 0, "files": []}
    assert left(run) == 2


def test_one_person_is_found_in_questions_and_feedback_and_leaves_nothing(run: Path) -> None:
    looked = call("erase", run, "--contains", "ada lovelace", "--lang", "zh")
    assert "2 条回答和 1 条反馈" in looked.stdout
    assert left(run) == 5
    assert rung.erase_traffic(run, contains=NAME, yes=True).traces == 2
    assert left(run) == 3
    assert b"ovelace" not in bytes_of(run / "serving")
    assert b"OVELACE" not in bytes_of(run / "serving")


def test_nobody_named_and_no_traffic_are_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="E7058"):
        rung.erase_traffic(run)
    with pytest.raises(UsageError, match="E7061"):
        rung.prune_traffic(run, datetime.now(UTC), state=tmp_path / "elsewhere")


def test_a_damaged_row_is_named_and_goes_with_whoever_is_erased(run: Path) -> None:
    path = run / "serving" / "traffic.sqlite"
    data = path.read_bytes()
    assert data.count(b"rent of room 1 due") == 2
    path.write_bytes(data.replace(b"rent of room 1 due", b"rent of rooo 1 due", 1))
    looked = call("erase", run, "--contains", "somebody else")
    assert "1 answers" in looked.stdout
    done = rung.erase_traffic(run, contains="somebody else", yes=True)
    assert done.traces == 1
    assert left(run) == 4
