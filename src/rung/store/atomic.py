"""What a run folder is written with: whole files of text and JSON; append logs whose torn tail is set aside; a run lock."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rung.core.durable import write_whole, writing
from rung.core.errors import DataError, InterruptedRun


def write_text(path: Path, text: str) -> None:
    """Write a whole file: a reader sees the old one or the new one, never a part. Raises WriteError E5001, E5002."""
    write_whole(path, text.encode("utf-8", "surrogatepass"))


def write_json(path: Path, value: Any) -> None:
    """The same for a JSON value; what JSON does not know is written as its text."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


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
