"""Durable writes: whole files by temporary file, fsync and rename; append logs whose torn tail is set aside; a run lock."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rung.core.errors import DataError, InterruptedRun, WriteError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a disk's refusal into WriteError: E5001 in general, E5002 when it is full."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise WriteError("E5002", path=path) from error
        raise WriteError("E5001", path=path, reason=error.strerror or str(error)) from error


def write_text(path: Path, text: str) -> None:
    """Write a whole file: a reader sees the old one or the new one, never a part."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        working = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            with working.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            working.replace(path)
        finally:
            working.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def sync_folder(folder: Path) -> None:
    """Make a rename inside a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class AppendLog:
    """A JSONL file that grows line by line; every `add` is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._drop_torn_tail()
            self._file: IO[bytes] = path.open("ab")

    def _drop_torn_tail(self) -> None:
        if not self.path.exists():
            return
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            # Half a line is all that a kill during a write can leave behind.
            self.path.with_name(self.path.name + ".torn").write_bytes(data[whole:])
            with self.path.open("r+b") as file:
                file.truncate(whole)

    def add(self, rows: Iterable[Any]) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        with writing(self.path):
            self._file.write(text.encode("utf-8", "surrogatepass"))
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> AppendLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_log(path: Path) -> list[Any]:
    """The whole lines of an append log; none when it does not exist. Raises DataError E2901 for a damaged line."""
    if not path.exists():
        return []
    data = path.read_bytes()
    try:
        text = data[: data.rfind(b"\n") + 1].decode("utf-8", "surrogatepass")
        return [json.loads(line) for line in text.split("\n") if line]
    except ValueError as error:
        raise DataError("E2901", path=path, reason=error) from error


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold a run for this process. A second process gets InterruptedRun E4002, which names the holder.

    The operating system drops the lock when its holder dies, so a lock is never stale.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+", encoding="utf-8")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise InterruptedRun("E4002", run=folder, holder=file.read().strip() or "another process") from error
        file.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
        file.flush()
        yield
