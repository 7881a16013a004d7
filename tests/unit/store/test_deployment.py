"""The pointers of what is served: one step each, kept through kills, and back again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from served_runs import make_run

from rung.core.errors import DataError, UsageError
from rung.store.deployment import Deployment


def test_a_run_serves_its_winner_until_another_is_promoted_and_back(tmp_path: Path) -> None:
    old, (first, second) = make_run(tmp_path / "runs" / "one", "a", "b")
    new, (third,) = make_run(tmp_path / "runs" / "two", "c")
    deployment = Deployment.at(old)
    assert (deployment.champion.run.name, deployment.champion.candidate) == ("one", first)
    versions = [deployment.version]
    deployment.promote(old, second, by="ann", reason="shorter")
    deployment.promote(new, third, by="bob")
    assert deployment.champion.name == f"two/{third}"
    versions.append(deployment.version)
    assert deployment.rollback(by="ann").candidate == second
    assert deployment.rollback().candidate == first
    versions.append(deployment.version)
    assert len(set(versions)) == 3
    with pytest.raises(UsageError, match="E7110"):
        deployment.rollback()
    told = deployment.history()
    assert [line["what"] for line in told] == ["promote", "promote", "rollback", "rollback"]
    assert (told[0]["by"], told[0]["reason"]) == ("ann", "shorter")


def test_a_run_without_a_winner_serves_what_is_promoted_and_goes_back_to_that_only(tmp_path: Path) -> None:
    old, (first, second) = make_run(tmp_path / "one", "a", "b")
    (old / "decision.json").unlink()
    deployment = Deployment.at(old)
    with pytest.raises(UsageError, match="E1307"):
        _ = deployment.champion
    deployment.promote(old, first)
    deployment.promote(old, second)
    assert deployment.rollback().candidate == first
    with pytest.raises(UsageError, match="E7110"):
        deployment.rollback()


def test_a_folder_of_runs_may_be_moved(tmp_path: Path) -> None:
    old, _ = make_run(tmp_path / "runs" / "one", "a")
    new, (name,) = make_run(tmp_path / "runs" / "two", "c")
    Deployment.at(old).promote(new, name)
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    champion = Deployment.at(tmp_path / "elsewhere" / "one").champion
    assert champion.run == tmp_path / "elsewhere" / "two"


def test_a_challenger_is_on_trial_until_it_is_stopped_or_promoted(tmp_path: Path) -> None:
    old, (first, second) = make_run(tmp_path / "one", "a", "b")
    deployment = Deployment.at(old)
    with pytest.raises(UsageError, match="E7111"):
        deployment.start_challenger(old, first, "canary", share=0.1)
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(UsageError, match="E7112"):
            deployment.start_challenger(old, second, "canary", share=share)
    with pytest.raises(UsageError, match="E1302"):
        deployment.start_challenger(old, "nobody", "shadow", share=1)
    deployment.start_challenger(old, second, "canary", share=0.25)
    trial = deployment.challenger
    assert trial is not None
    assert (trial.candidate, trial.mode, trial.share) == (second, "canary", 0.25)
    deployment.stop_challenger()
    assert deployment.challenger is None
    deployment.start_challenger(old, second, "shadow", share=1)
    deployment.promote(old, second)
    assert deployment.challenger is None
    assert deployment.champion.candidate == second


def test_a_promotion_that_was_killed_before_the_trial_was_cleared_leaves_no_trial(tmp_path: Path) -> None:
    old, (_, second) = make_run(tmp_path / "one", "a", "b")
    deployment = Deployment.at(old)
    deployment.start_challenger(old, second, "canary", share=0.5)
    left = (deployment.folder / "challenger.json").read_bytes()
    deployment.promote(old, second)
    (deployment.folder / "challenger.json").write_bytes(left)
    assert deployment.challenger is None


def test_a_damaged_pointer_is_said_and_never_guessed(tmp_path: Path) -> None:
    old, (_, second) = make_run(tmp_path / "one", "a", "b")
    deployment = Deployment.at(old)
    deployment.promote(old, second)
    (deployment.folder / "champion.json").write_text("{", "utf-8")
    with pytest.raises(DataError, match="E2901"):
        _ = deployment.champion


_CHANGES = """
import sys
from pathlib import Path
from rung.store.deployment import Deployment
deployment = Deployment.at(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    deployment.promote(deployment.run, sys.argv[2])
    deployment.promote(deployment.run, sys.argv[3])
    deployment.rollback()
    deployment.start_challenger(deployment.run, sys.argv[3], "canary", share=0.5)
"""


def kill_again_and_again(tmp_path: Path, kills: int) -> None:
    old, (first, second) = make_run(tmp_path / "one", "a", "b")
    deployment = Deployment.at(old)
    seen: set[str] = set()
    for attempt in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHANGES, str(old), first, second], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        until = time.monotonic() + 0.02 + 0.013 * (attempt % 8)
        while time.monotonic() < until:
            seen.add(deployment.champion.candidate)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert deployment.champion.candidate in {first, second}
        record = json.loads((deployment.folder / "champion.json").read_text("utf-8")) if deployment.version[0] else {}
        assert all(line["candidate"] in {first, second} for line in record.get("before", []))
        deployment.history()
    assert seen <= {first, second}
    # What a kill has left does not stand in the way of the next change.
    assert deployment.promote(old, second).candidate == second
    assert deployment.champion.candidate == second


def test_killed_at_any_moment_the_old_or_the_new_is_served(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 8)


@pytest.mark.slow
def test_killed_two_hundred_times_the_old_or_the_new_is_served(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 200)
