"""Durable writes under faults: full disks, kills in the middle of a line, and a second process on the same run."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rung.core.append_log import AppendLog, read_log
from rung.core.durable import write_json, write_text, write_whole
from rung.core.errors import InterruptedRun, WriteError
from rung.core.lock import folder_lock

HOLDER = """
import sys, time
from pathlib import Path
from rung.core.lock import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The operating system refuses to let any file grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# Whole files


def test_a_file_is_written_whole_with_its_folders_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "note.json"
    write_json(path, {"name": "租金\u2028{x}", "path": tmp_path})
    write_text(path.with_name("odd.txt"), "line\r\n\ud800")
    assert json.loads(path.read_text("utf-8")) == {"name": "租金\u2028{x}", "path": str(tmp_path)}
    assert path.with_name("odd.txt").read_bytes() == b"line\r\n\xed\xa0\x80"
    assert sorted(p.name for p in path.parent.iterdir()) == ["note.json", "odd.txt"]


@pytest.mark.parametrize("broken", ["replace", "fsync"])
@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "E5002"), (errno.EDQUOT, "E5002"), (errno.EACCES, "E5001"), (errno.EIO, "E5001")],
)
def test_a_refused_write_leaves_the_old_file_and_no_working_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, number: int, code: str
) -> None:
    path = tmp_path / "decision.json"
    write_text(path, "old")
    monkeypatch.setattr(os, broken, refusing(number))
    with pytest.raises(WriteError) as caught:
        write_text(path, "new")
    assert caught.value.code == code
    assert str(path) in str(caught.value)
    assert ("MiB that are free" in str(caught.value)) == (code == "E5002")
    assert caught.value.exit_code == 7
    assert [p.name for p in tmp_path.iterdir()] == ["decision.json"]
    assert path.read_text() == "old"


def test_a_disk_that_takes_only_a_part_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    write_text(path, "old")
    with no_file_beyond(4096), pytest.raises(WriteError):
        write_text(path, "new" * 10_000)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["answers.jsonl"]


def test_a_file_in_the_place_of_a_folder_is_a_write_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(WriteError):
        write_text(tmp_path / "runs" / "x.json", "{}")
    with pytest.raises(WriteError), folder_lock(tmp_path / "runs" / "one"):
        pass


# Append logs


def test_a_line_is_on_disk_when_add_returns_and_later_ones_follow_it(tmp_path: Path) -> None:
    path = tmp_path / "in" / "log.jsonl"
    with AppendLog(path) as log:
        log.add([{"text": "租金\u2028\n"}])
        assert read_log(path) == [{"text": "租金\u2028\n"}]
        log.add([{"n": 2}, {"n": 3}])
    with AppendLog(path) as log:
        log.add([{"text": "\ud800"}])
    assert read_log(path) == [{"text": "租金\u2028\n"}, {"n": 2}, {"n": 3}, {"text": "\ud800"}]
    assert read_log(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("torn", ['{"n": 3, "te', "{", '{"n": 3}', "\xe7\xa7"])
def test_a_torn_tail_is_set_aside_and_the_rest_kept(tmp_path: Path, torn: str) -> None:
    """Cut anywhere, even between the bytes of a character or just before the line's end."""
    path = tmp_path / "log.jsonl"
    half = torn.encode("latin-1")
    path.write_bytes(b'{"n": 1}\n{"n": 2}\n' + half)
    assert read_log(path) == [{"n": 1}, {"n": 2}]
    with AppendLog(path) as log:
        log.add([{"n": 4}])
    assert read_log(path) == [{"n": 1}, {"n": 2}, {"n": 4}]
    assert (tmp_path / "log.jsonl.torn").read_bytes() == half


def test_a_log_that_is_all_torn_starts_empty(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n"')
    with AppendLog(path):
        assert path.read_bytes() == b""
    assert (tmp_path / "log.jsonl.torn").read_bytes() == b'{"n"'


def test_a_sound_log_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for _ in range(2):
        with AppendLog(path) as log:
            log.add([{"n": 1}])
    assert [p.name for p in tmp_path.iterdir()] == ["log.jsonl"]


def test_a_full_disk_stops_the_log_with_its_own_code_and_what_was_added_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log.jsonl"
    with AppendLog(path) as log:
        log.add([{"n": 1}])
        monkeypatch.setattr(os, "fsync", refusing(errno.ENOSPC))
        with pytest.raises(WriteError) as caught:
            log.add([{"n": 2}])
    assert caught.value.code == "E5002"
    assert read_log(path)[0] == {"n": 1}


def test_a_disk_that_takes_only_half_a_line_is_a_write_error_and_the_log_goes_on_later(tmp_path: Path) -> None:
    """The bytes that were refused lie in the file's buffer; closing must not raise about them a second time."""
    path = tmp_path / "log.jsonl"
    with AppendLog(path) as log:
        log.add([{"n": 1}])
    with no_file_beyond(100), pytest.raises(WriteError), AppendLog(path) as log:
        log.add([{"n": 2, "text": "x" * 5000}])
    with AppendLog(path) as log:
        log.add([{"n": 3}])
    assert read_log(path) == [{"n": 1}, {"n": 3}]


# The lock


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the run."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_and_told_who_holds_the_run_until_the_holder_is_killed(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    for _ in range(2):
        with pytest.raises(InterruptedRun) as caught, folder_lock(tmp_path):
            pytest.fail("two processes held one run")
        assert caught.value.code == "E4002"
        assert f"process {holder.pid} on " in str(caught.value)
        assert caught.value.exit_code == 5
    holder.kill()
    holder.wait()
    with folder_lock(tmp_path):
        said = (tmp_path / ".lock").read_text()
    assert said.startswith(f"process {os.getpid()} on ")
    assert str(holder.pid) not in said


def test_the_lock_is_free_after_use_and_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), folder_lock(tmp_path):
        raise KeyError
    with folder_lock(tmp_path), pytest.raises(InterruptedRun), folder_lock(tmp_path):
        pass
    with folder_lock(tmp_path):
        pass


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    write_whole(tmp_path / "map.json", b"{}", private=True)
    assert (tmp_path / "map.json").stat().st_mode & 0o777 == 0o600
