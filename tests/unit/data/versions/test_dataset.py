"""Data sets: same rows same id, nothing overwritten, undo, damage found, kills survived, forgetting in every version."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rung.core.errors import DataError, InterruptedRun, UsageError, WriteError
from rung.data.record import Record, Turn
from rung.data.versions.dataset import CURRENT, DataSet, Reference, is_dataset
from rung.data.versions.diff import diff
from rung.data.versions.version import Sample, Source, Step

FILE = Source(name="a.csv", sha256="ab" * 32, rows=2, format="csv", licence="CC-BY-4.0")


def row(id: str, question: str = "", **more: object) -> Record:
    return Record(id=id, inputs={"question": question or f"问题 {id}\u2028?"}, answers=("yes",), **more)


def filled(folder: Path, n: int = 3) -> DataSet:
    dataset = DataSet(folder)
    rows = [row(f"r{i}") for i in range(n)]
    dataset.commit(rows, [Step(name="import", rows_after=n)], sources=[FILE])
    return dataset


def test_the_same_rows_have_the_same_id_wherever_they_are_and_are_kept_once(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one"), filled(tmp_path / "other")
    assert one.current == other.current
    again = one.commit(one.read(), [Step(name="clean.html", rows_before=3, rows_after=3)])
    assert again.id == other.current
    assert len(list((tmp_path / "one" / "versions").iterdir())) == 1
    assert [entry["steps"][0]["name"] for entry in one.log()] == ["import", "clean.html"]


def test_rows_come_back_as_they_went_in_and_a_change_is_a_new_version(tmp_path: Path) -> None:
    dataset = filled(tmp_path)
    first = dataset.current
    rows = list(dataset.read())
    odd = rows[1].model_copy(update={"messages": (Turn(role="user", content="😀 a\r\nb"),), "extra": {"n": 1.5}})
    rows[1] = odd
    second = dataset.commit([*rows, row("new", split="train")], [Step(name="label")])
    assert dataset.read()[1] == odd
    assert [version.id for version in dataset.history()] == [second.id, first]
    assert second.splits == {"": 3, "train": 1}
    assert second.sources == (FILE,)
    other = Source(name="b.csv", licence="MIT")
    assert dataset.commit([row("b")], [Step(name="import")], sources=[other], anew=True).sources == (other,)
    dataset.undo()
    assert dataset.read(first[:6]) == filled(tmp_path / "copy").read()
    found = diff(dataset.read(first), dataset.read())
    assert (found.added, found.removed, found.same) == (("new",), (), 2)
    assert set(found.changed[0].fields) == {"messages", "extra"}


def test_undo_goes_back_and_deletes_nothing(tmp_path: Path) -> None:
    dataset = filled(tmp_path)
    first = dataset.current
    second = dataset.commit(dataset.read()[:1], [Step(name="clean.length")]).id
    assert dataset.undo().id == first
    assert len(dataset.read()) == 3
    assert len(dataset.read(second)) == 1
    with pytest.raises(UsageError) as refused:
        dataset.undo()
    assert refused.value.code == "E2726"


def test_versions_are_found_by_their_beginning_or_named_as_missing(tmp_path: Path) -> None:
    dataset = filled(tmp_path)
    assert dataset.find(dataset.current[:4]) == dataset.current
    assert Reference.parse(f"{tmp_path}@abc") == Reference(tmp_path, "abc")
    assert Reference.parse("user@host/data") == Reference(Path("user@host/data"))
    with pytest.raises(UsageError) as refused:
        dataset.read("zz")
    assert refused.value.code == "E2721"
    with pytest.raises(DataError) as missing:
        DataSet(tmp_path / "nothing").read()
    assert missing.value.code == "E2720"


def test_ids_that_repeat_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        DataSet(tmp_path / "d").commit([row("a"), row("b"), row("a")], [])
    assert refused.value.code == "E2725"
    with pytest.raises(DataError) as half:
        DataSet(tmp_path / "d").commit([row("a", "\ud83d")], [])
    assert half.value.code == "E2728"
    assert not is_dataset(tmp_path / "d")


def test_damage_is_found_before_the_rows_are_used(tmp_path: Path) -> None:
    dataset = filled(tmp_path)
    path = tmp_path / "versions" / dataset.current / "records.jsonl"
    path.write_bytes(path.read_bytes().replace(b"yes", b"no!", 1))
    with pytest.raises(DataError) as damaged:
        dataset.read()
    assert damaged.value.code == "E2724"


def test_forgetting_reaches_every_version_and_its_samples(tmp_path: Path) -> None:
    dataset = filled(tmp_path)
    first = dataset.current
    sample = Sample(id="r1", before="secret", after="")
    dataset.commit([row("r0", "changed"), *dataset.read()[1:]], [Step(name="clean.html", samples=(sample,))])
    lost = dataset.forget(lambda record: record.id == "r1")
    assert set(lost) == {first, dataset.current}
    assert all("r1" not in {r.id for r in dataset.read(version)} for version in lost)
    assert dataset.version(first).forgotten == 1
    assert not dataset.version().steps[0].samples
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "问题 r1".encode() not in kept
    assert b"secret" not in kept
    assert dataset.forget(lambda record: record.id == "r1") == {}


def test_a_second_writer_is_told_who_holds_the_data_set(tmp_path: Path) -> None:
    dataset = filled(tmp_path)
    with dataset.locked(), pytest.raises(InterruptedRun) as busy:
        DataSet(tmp_path).commit([row("a")], [])
    assert busy.value.code == "E4002"


def test_a_disk_that_refuses_leaves_the_version_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = filled(tmp_path)
    first = dataset.current

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError) as refused:
        dataset.commit([row("a")], [])
    monkeypatch.undo()
    assert refused.value.code == "E5002"
    assert dataset.current == first
    assert len(dataset.read()) == 3
    assert [path.name for path in (tmp_path / "versions").iterdir()] == [first]


WRITER = """
import sys
from pathlib import Path
from rung.data.record import Record
from rung.data.versions.dataset import DataSet
from rung.data.versions.version import Step
print("ready", flush=True)
for n in range(10_000):
    rows = [Record(id=f"r{i}", inputs={"q": f"{n} {i}"}) for i in range(200)]
    DataSet(Path(sys.argv[1])).commit(rows, [Step(name="import")])
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_version(tmp_path: Path) -> None:
    for wait in (0.05, 0.11, 0.2, 0.33):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        deadline = time.monotonic() + 20
        while not (tmp_path / CURRENT).exists() and time.monotonic() < deadline:
            os.sched_yield()
        time.sleep(wait)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        dataset = DataSet(tmp_path)
        assert len(dataset.read()) == 200
        assert dataset.log()
    assert len(DataSet(tmp_path).commit(dataset.read()[:5], [Step(name="clean")]).id) == 12


def test_what_a_killed_writer_left_is_put_away(tmp_path: Path) -> None:
    dataset = filled(tmp_path)
    first = dataset.current
    second = dataset.commit([row("new")], [Step(name="label")]).id
    versions = tmp_path / "versions"
    # Killed while it wrote a new version, and while it replaced an old one.
    (versions / ".0123456789ab.aaaaaaaa.tmp").mkdir()
    (versions / ".0123456789ab.aaaaaaaa.tmp" / "records.jsonl").write_text('{"id": "half', "utf-8")
    (versions / first).rename(versions / f".{first}.bbbbbbbb.tmp")
    dataset.commit([row("next")], [Step(name="label")])
    assert sorted(path.name for path in versions.iterdir()) == sorted([first, second, dataset.current])
    assert len(dataset.read(first)) == 3


def test_a_folder_that_is_no_data_set_is_not_made_into_half_of_one(tmp_path: Path) -> None:
    for change in (DataSet(tmp_path / "nothing").undo, lambda: DataSet(tmp_path / "nothing").forget(lambda row: True)):
        with pytest.raises(DataError) as caught:
            change()
        assert caught.value.code == "E2720"
    assert not (tmp_path / "nothing").exists()
