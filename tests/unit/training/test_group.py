"""Two processes give the loss curve of one, summed or sharded, and go on from each other's checkpoints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rung.training.group import Alone, environment, free_port

WORKER = Path(__file__).parents[2] / "group_worker.py"


def run(folder: Path, processes: int, **given) -> dict:
    folder.mkdir(exist_ok=True)
    port = free_port()
    plain = {key: value for key, value in os.environ.items() if key not in environment(0, 1, 0)}
    plain |= {"PYTHONPATH": os.pathsep.join([str(WORKER.parent), *sys.path]), "OMP_NUM_THREADS": "1"}
    children = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(folder), json.dumps(given)],
            env=plain | (environment(rank, processes, port) if processes > 1 else {}),
            stderr=subprocess.PIPE,
        )
        for rank in range(processes)
    ]
    errors = [child.communicate()[1].decode()[-2000:] for child in children]
    assert [child.returncode for child in children] == [0] * processes, errors
    return json.loads((folder / "out.json").read_text())


def assert_same_curve(one: dict, other: dict) -> None:
    assert len(one["curve"]) == len(other["curve"]) > 4
    for mine, theirs in zip(one["curve"], other["curve"], strict=True):
        assert mine["step"] == theirs["step"]
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=2e-4)
        for name in ("dev", "dev_loss"):
            assert mine.get(name, 0.0) == pytest.approx(theirs.get(name, 0.0), abs=2e-4)
    assert one["best_step"] == other["best_step"] > 0
    for name, weight in one["weights"].items():
        assert other["weights"][name] == pytest.approx(weight, abs=5e-3), name


@pytest.mark.parametrize(
    "given",
    [
        {},
        pytest.param({"sharded": True}, marks=pytest.mark.slow),
        pytest.param({"sharded": True, "adapter": "full", "learning_rate": 0.002}, marks=pytest.mark.slow),
        pytest.param({"sharded": True, "adapter": "prompt", "virtual_tokens": 4}, marks=pytest.mark.slow),
    ],
    ids=["summed", "sharded", "sharded, all weights", "sharded, soft prompt"],
)
def test_two_processes_give_the_loss_curve_of_one(given, tmp_path):
    two = run(tmp_path / "two", 2, **given)
    assert two["size"] == 2
    one = run(tmp_path / "one", 1, **{key: value for key, value in given.items() if key != "sharded"})
    assert one["size"] == 1
    assert_same_curve(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("sharded", [False, True])
def test_a_run_of_two_processes_is_gone_on_with_by_one(sharded, tmp_path):
    first = run(tmp_path / "mixed", 2, sharded=sharded, stop_at=5)
    assert first["stopped"] == "interrupted"
    second = run(tmp_path / "mixed", 1)
    assert second["stopped"] == "epochs"
    assert_same_curve(run(tmp_path / "one", 1), second)


@pytest.mark.slow
def test_without_room_for_all_weights_the_loss_on_dev_chooses(tmp_path):
    found = run(tmp_path, 2, sharded=True, by_loss=True)
    scored = [point for point in found["curve"] if "dev" in point]
    assert scored
    assert all(point["dev"] == -point["dev_loss"] for point in scored)
    assert "by_loss" in found["notes"]


def test_alone_takes_every_part():
    assert Alone().mine([[1], [2, 3]]) == [([1], 1.0), ([2, 3], 1.0)]
