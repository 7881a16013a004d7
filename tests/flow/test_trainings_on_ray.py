"""Trials and seeds of one rung on a Ray cluster of this machine, with real training processes on a tiny model."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from small_task import write_task
from tiny_llama import write_model

from rung.core.append_log import read_log
from rung.experiment.limits import Limits
from rung.experiment.run import run_task

pytestmark = pytest.mark.slow


def test_a_search_and_seeds_are_trained_at_the_same_time_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    write_model(tmp_path / "tiny", max_position_embeddings=512)
    search = {"trials": 4, "parallel": 2, "learning_rate": [1e-4, 1e-2]}
    short = {"rank": 2, "epochs": 1.0, "evaluations": 2}
    write_task(
        tmp_path,
        models=[{"kind": "transformers", "path": "tiny", "precision": "fp32"}],
        methods=["prompt", "fine_tune"],
        settings={"fine_tune": {**short, "seeds": 2, "search": search}},
    )
    heeded = signal.getsignal(signal.SIGTERM)
    # Paths begin where the call does, at a worker as here.
    monkeypatch.chdir(tmp_path)
    run = run_task(Path("task.yaml"), limits=Limits(on="ray"))
    assert signal.getsignal(signal.SIGTERM) is heeded
    outcome = next(outcome for outcome in run.outcomes() if outcome.cell.method == "fine_tune")
    assert outcome.status == "done", outcome.reason
    folder = run.candidate_folder(outcome.candidate)
    assert sorted(line["number"] for line in read_log(folder / "search.jsonl")) == [0, 1, 2, 3]
    trials = outcome.notes["search"]["trials"]
    assert [trial["wave"] for trial in trials] == [0, 0, 2, 2]
    assert all(trial["seen"] for trial in trials)
    assert [seed["seed"] for seed in outcome.notes["seeds"]] == [0, 1]
    assert (folder / "adapter").is_dir()
    assert not (folder / "search").exists()
    job = json.loads((folder / "training" / "job.json").read_text("utf-8"))
    best = trials[outcome.notes["search"]["best"]]["values"]
    assert job["settings"]["learning_rate"] == pytest.approx(best["learning_rate"])
    # What the workers' processes took is counted: six trainings, each of which reads torch first.
    assert outcome.spent.cpu_seconds > 6.0
    assert run.read_decision() is not None
