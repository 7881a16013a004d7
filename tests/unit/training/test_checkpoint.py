"""Checkpoints under faults: a torn or damaged one is never used, and a failed save harms no earlier one."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rung.core.errors import WriteError
from rung.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def checkpoint(step: int) -> Checkpoint:
    weights = torch.arange(12, dtype=torch.float32).reshape(3, 4) + step
    return Checkpoint(
        {"step": step, "note": "租金"}, {"a.weight": weights, "turned": weights.T, "half": weights.bfloat16()}
    )


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, step, checkpoint(step))


def assert_is(found: Checkpoint | None, step: int) -> None:
    assert found is not None
    expected = checkpoint(step)
    assert found.state == expected.state
    assert found.tensors.keys() == expected.tensors.keys()
    for name, tensor in expected.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_what_is_saved_is_loaded_and_the_newest_counts(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none") is None
    save(tmp_path, 5)
    assert_is(load_checkpoint(tmp_path), 5)
    save(tmp_path, 100, 1000)
    assert_is(load_checkpoint(tmp_path), 1000)


def test_at_most_two_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 11, 12):
        save(tmp_path, step)
        assert len(list(tmp_path.iterdir())) <= 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000011", "step-00000012"]


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save_checkpoint(tmp_path, 1, Checkpoint({"step": "again"}, {}))
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert (found.state, found.tensors) == ({"step": "again"}, {})


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "MANIFEST.json").unlink(),
        lambda folder: (folder / "MANIFEST.json").write_text(""),
        lambda folder: (folder / "tensors.safetensors").unlink(),
        lambda folder: flip(folder / "tensors.safetensors", -1),
        lambda folder: flip(folder / "state.json", 3),
        lambda folder: (folder / "state.json").write_text("{}"),
        lambda folder: os.truncate(folder / "tensors.safetensors", 40),
    ],
    ids=[
        "no manifest",
        "empty manifest",
        "no tensors",
        "flipped tensor byte",
        "flipped state byte",
        "other state",
        "cut tensors",
    ],
)
def test_a_damaged_checkpoint_goes_to_quarantine_and_the_one_before_it_is_loaded(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    save(tmp_path, 1, 2)
    damage(tmp_path / "step-00000002")
    assert_is(load_checkpoint(tmp_path), 1)
    assert [p.name[:13] for p in (tmp_path / "quarantine").iterdir()] == ["step-00000002"]
    assert_is(load_checkpoint(tmp_path), 1)
    save(tmp_path, 2)
    assert_is(load_checkpoint(tmp_path), 2)


def test_any_flipped_byte_of_the_manifest_is_noticed(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    newest = tmp_path / "step-00000002"
    shutil.copytree(newest, tmp_path / "whole")
    for place in range((newest / "MANIFEST.json").stat().st_size):
        flip(newest / "MANIFEST.json", place)
        assert_is(load_checkpoint(tmp_path), 1)
        shutil.copytree(tmp_path / "whole", newest)


def test_all_damaged_is_a_fresh_start_with_everything_kept_aside(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    for folder in tmp_path.glob("step-*"):
        flip(folder / "state.json", 0)
    assert load_checkpoint(tmp_path) is None
    assert len(list((tmp_path / "quarantine").iterdir())) == 2


def test_a_damaged_checkpoint_does_not_count_among_the_two_that_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 1, 2)
    flip(tmp_path / "step-00000002" / "state.json", 0)
    save(tmp_path, 3)
    flip(tmp_path / "step-00000003" / "state.json", 0)
    assert_is(load_checkpoint(tmp_path), 1)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", range(3))
def test_a_save_that_fails_at_any_sync_leaves_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: int
) -> None:
    save(tmp_path, 1, 2)
    sync, calls = os.fsync, [0]

    def refuse(handle: int) -> None:
        calls[0] += 1
        if calls[0] > call:
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(WriteError) as caught:
        save(tmp_path, 3)
    assert calls[0] == call + 1
    assert "step-00000003" in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000001", "step-00000002"]
    assert_is(load_checkpoint(tmp_path), 2)


def test_a_disk_that_fills_up_while_tensors_are_written_is_a_write_error(tmp_path: Path) -> None:
    save(tmp_path, 1)
    large = Checkpoint({"step": 2}, {"weight": torch.zeros(100_000)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(WriteError):
            save_checkpoint(tmp_path, 2, large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]
    assert_is(load_checkpoint(tmp_path), 1)
