"""Trainings that are killed, stopped, starved of memory and disk, or damaged: what is left is whole, and they go on from it."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_llama import write_model
from training_children import Children, said, until, write_job

from rung.core.errors import BackendError, InterruptedRun, WriteError
from rung.core.model import ModelRef
from rung.training import runner
from rung.training.killed import ceiling_after, leave_word, out_of_memory_kills
from rung.training.rows import read_rows
from rung.training.work import Job


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    found = Children()
    yield found
    found.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelRef:
    from rung.models.transformers_local import TransformersModel

    folder = write_model(tmp_path_factory.mktemp("model"), initializer_range=0.05)
    return TransformersModel(str(folder), precision="fp32", device="cpu").ref


@pytest.fixture(scope="module")
def whole(children: Children, model: ModelRef, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of a training that nothing happened to."""
    folder = write_job(tmp_path_factory.mktemp("whole") / "job", model)
    assert children.run(folder) == 0
    return weights(folder)


def weights(folder: Path) -> bytes:
    return (folder / "adapter" / "adapter_model.safetensors").read_bytes()


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text("utf-8"))
    return found


def kinds(folder: Path) -> list[str]:
    return [note["kind"] for note in result(folder)["notes"]]


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").glob("step-*"))


@pytest.mark.parametrize("kill_at", [1, 3, 6, 9, 13, 20, 29, 38, 45, 50, 54])
def test_killed_at_any_write_it_ends_with_the_same_bits(
    children: Children, model: ModelRef, whole: bytes, tmp_path: Path, kill_at: int
) -> None:
    folder = write_job(tmp_path / "job", model)
    code = children.run(folder, kill_at=kill_at)
    assert code in {-signal.SIGKILL, 0}
    assert children.run(folder) == 0
    assert weights(folder) == whole


def test_killed_between_steps_it_ends_with_the_same_bits(
    children: Children, model: ModelRef, whole: bytes, tmp_path: Path
) -> None:
    folder = write_job(tmp_path / "job", model)
    pid = children.start(folder, slow=0.2)
    until(lambda: len(said(folder)) >= 5)
    os.kill(pid, signal.SIGKILL)
    assert children.wait(pid) == -signal.SIGKILL
    assert children.run(folder) == 0
    assert weights(folder) == whole


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_asked_to_stop_it_writes_a_checkpoint_and_goes_on_from_there(
    children: Children, model: ModelRef, whole: bytes, tmp_path: Path, name: str
) -> None:
    if signal.getsignal(getattr(signal, name)) == signal.SIG_IGN:
        pytest.skip(f"{name} is ignored where these tests were started, as nohup does")
    folder = write_job(tmp_path / "job", model, save_steps=1000)
    pid = children.start(folder, slow=0.3)
    until(lambda: len(said(folder)) >= 3)
    os.kill(pid, getattr(signal, name))
    assert children.wait(pid) == 5
    steps = said(folder)[-1]["step"]
    assert checkpoints(folder)[-1] == f"step-{steps:08d}"
    assert not (folder / "result.json").exists()
    assert children.run(folder) == 0
    assert said(folder)[-1]["step"] == 12
    assert weights(folder) == whole


def test_asked_twice_it_stops_at_once(children: Children, model: ModelRef, tmp_path: Path) -> None:
    folder = write_job(tmp_path / "job", model)
    pid = children.start(folder, slow=60)
    until(lambda: (folder / "checkpoints").is_dir() or said(folder) or (folder / ".lock").exists())
    time.sleep(3)
    started = time.monotonic()
    for _ in range(2):
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.3)
    assert children.wait(pid) == 5
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("full_at", [1, 6, 11, 18])
def test_a_full_disk_ends_it_with_the_last_checkpoint_whole_and_it_goes_on_when_there_is_space(
    children: Children, model: ModelRef, whole: bytes, tmp_path: Path, full_at: int
) -> None:
    folder = write_job(tmp_path / "job", model)
    assert children.run(folder, full_at=full_at) == 7
    assert said(folder)[-1]["error"] == "E5002"
    left = checkpoints(folder)
    if full_at > 6:
        assert left
    assert not list((folder / "checkpoints").glob(".*"))
    assert children.run(folder) == 0
    assert weights(folder) == whole
    assert "recovered" not in kinds(folder)


def test_without_room_for_its_checkpoints_it_does_not_begin(
    model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    from rung.training.room import need_space

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 40, 1 << 40, 5 << 20))
    need_space(tmp_path, 5 << 20)
    with pytest.raises(WriteError) as caught:
        need_space(tmp_path, 3 << 30)
    assert caught.value.exit_code == 7
    text = str(caught.value)
    assert str(tmp_path) in text
    assert "5 MiB" in text
    assert "3.0 GiB" in text


@pytest.mark.parametrize("damage", ["flip", "cut", "state"])
def test_a_damaged_checkpoint_is_noticed_told_and_the_one_before_it_used(
    children: Children, model: ModelRef, whole: bytes, tmp_path: Path, damage: str
) -> None:
    folder = write_job(tmp_path / "job", model)
    pid = children.start(folder, slow=0.2)
    until(lambda: len(checkpoints(folder)) == 2)
    os.kill(pid, signal.SIGTERM)
    assert children.wait(pid) == 5
    newest = folder / "checkpoints" / checkpoints(folder)[-1]
    tensors = newest / "tensors.safetensors"
    if damage == "flip":
        data = bytearray(tensors.read_bytes())
        data[len(data) // 2] ^= 4
        tensors.write_bytes(data)
    elif damage == "cut":
        os.truncate(tensors, tensors.stat().st_size // 2)
    else:
        (newest / "state.json").write_text("{}", "utf-8")
    before = checkpoints(folder)[0]
    assert children.run(folder) == 0
    assert weights(folder) == whole
    note = next(note for note in result(folder)["notes"] if note["kind"] == "recovered")
    assert note["damaged"] == [newest.name]
    assert f"step-{note['step']:08d}" == before


def test_a_second_training_in_one_folder_is_told_who_has_it(
    children: Children, model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_job(tmp_path / "job", model)
    pid = children.start(folder, slow=0.5)
    until(lambda: bool(said(folder)))
    assert children.run(folder) == 5
    refused = next(line for line in said(folder) if "error" in line)
    assert refused["error"] == "E4002"
    assert f"process {pid} on" in refused["values"]["holder"]
    # A parent must not write over the rows either.
    before = (folder / "rows.jsonl").read_bytes()
    with pytest.raises(InterruptedRun) as caught:
        runner.train(folder, Job.read(folder), read_rows(folder / "rows.jsonl")[:1], [])
    assert caught.value.code == "E4002"
    assert (folder / "rows.jsonl").read_bytes() == before
    os.kill(pid, signal.SIGTERM)
    assert children.wait(pid) == 5
    assert children.run(folder) == 0


def test_where_the_system_gives_no_more_memory_parts_are_halved(
    children: Children, model: ModelRef, tmp_path: Path
) -> None:
    folder = write_job(
        tmp_path / "job", model, rows=96, length=190, batch_size=96, micro_tokens=100_000, max_steps=2, evaluations=0
    )
    assert children.run(folder, limit=40) == 0
    halved = [note["micro_tokens"] for note in result(folder)["notes"] if note["kind"] == "memory"]
    assert halved
    assert halved == [100_000 >> n for n in range(1, len(halved) + 1)]
    assert result(folder)["step"] == 2


def shell(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of Python, so that a child of the parent under test does as this script says."""
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(runner.sys, "executable", str(path))


def test_a_child_that_the_system_kills_is_started_once_more_with_half(
    model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_job(tmp_path / "job", model)
    counts = iter([3, 4])
    monkeypatch.setattr(runner, "out_of_memory_kills", lambda: next(counts))
    ended = {
        "converged": True,
        "stopped": "epochs",
        "step": 1,
        "planned_steps": 1,
        "best_step": 1,
        "best": 0.5,
        "seconds": 1.0,
    }
    done = json.dumps({**ended, "tokens_per_second": 1.0, "curve": []})
    shell(
        tmp_path / "child",
        f"if [ -e {folder}/killed.json ]; then echo '{done}' > {folder}/result.json; else kill -9 $$; fi",
        monkeypatch,
    )
    assert runner.run_child(folder, lambda line: None).best == 0.5
    ceiling = ceiling_after(folder, 512)
    assert ceiling is not None
    assert (ceiling.tokens, ceiling.note) == (256, {"kind": "killed", "kills": 1})


def test_a_child_that_is_killed_again_is_an_error_with_advice(
    model: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_job(tmp_path / "job", model)
    shell(tmp_path / "child", f"echo x >> {tmp_path}/starts; kill -9 $$", monkeypatch)
    with pytest.raises(BackendError) as caught:
        runner.run_child(folder, lambda line: None)
    assert caught.value.code == "E3022"
    assert "gradient_checkpointing" in str(caught.value)
    assert (tmp_path / "starts").read_text() == "x\nx\n"


def test_a_child_that_somebody_else_killed_keeps_its_parts_and_its_bits(tmp_path: Path) -> None:
    leave_word(tmp_path, memory=False)
    assert ceiling_after(tmp_path, 512) is None
    leave_word(tmp_path, memory=True)
    leave_word(tmp_path, memory=True)
    ceiling = ceiling_after(tmp_path, 512)
    assert ceiling is not None
    assert (ceiling.tokens, ceiling.note["kills"]) == (128, 3)
    assert ceiling_after(tmp_path, 40) is not None


def test_after_a_kill_for_memory_the_next_start_takes_less_and_says_so(
    children: Children, model: ModelRef, tmp_path: Path
) -> None:
    folder = write_job(tmp_path / "job", model)
    leave_word(folder, memory=True)
    assert children.run(folder) == 0
    notes = [note for note in result(folder)["notes"] if note["kind"] == "killed"]
    assert notes == [{"kind": "killed", "kills": 1, "step": 0, "micro_tokens": 256}]


def test_a_model_that_never_stops_is_noted_and_rows_with_nothing_to_learn_are_counted(
    children: Children, model: ModelRef, tmp_path: Path
) -> None:
    folder = write_job(tmp_path / "job", model, max_steps=1, learning_rate=1e-6)
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text("utf-8").splitlines()]
    rows[0]["target"] = "  "
    rows[1]["request"]["messages"][0]["text"] = "the rent " * 200
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert children.run(folder) == 0
    notes = {note["kind"]: note for note in result(folder)["notes"]}
    assert notes["skipped"] == {"kind": "skipped", "rows": 2, "of": 16, "empty": 1}
    assert notes["endless"]["percent"] > 50


def test_targets_that_are_mostly_empty_stop_it(children: Children, model: ModelRef, tmp_path: Path) -> None:
    folder = write_job(tmp_path / "job", model)
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text("utf-8").splitlines()]
    for row in rows[:9]:
        row["target"] = ""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert children.run(folder) == 3
    assert said(folder)[-1]["error"] == "E2801"


def test_the_result_says_what_memory_was_planned_and_taken(children: Children, model: ModelRef, tmp_path: Path) -> None:
    folder = write_job(tmp_path / "job", model, max_steps=1)
    assert children.run(folder) == 0
    facts = result(folder)["facts"]
    # A forked child counts pages that it shares with its parent; the order of size is what can be compared here.
    assert 0.1 < facts["peak_memory_gib"] < 4
    assert facts["memory_plan"]["peak"] > facts["memory_plan"]["libraries"]
    assert facts["memory_there_gib"] > 0


def test_the_clock_may_jump(model: ModelRef, monkeypatch: pytest.MonkeyPatch) -> None:
    from test_loop import loop_of

    day = iter(range(0, 10**9, 86_400))
    monkeypatch.setattr(time, "time", lambda: float(next(day)))
    result = loop_of(epochs=1, max_seconds=600).run()
    assert result.stopped == "epochs"
    assert 0 < result.seconds < 120


def test_kills_are_counted_where_the_system_counts_them(tmp_path: Path) -> None:
    counts = tmp_path / "vmstat"
    counts.write_text("pgfault 12\noom_kill 7\n", "ascii")
    assert out_of_memory_kills(counts) == 7
    assert out_of_memory_kills(tmp_path / "absent") is None
