"""Append logs: JSONL that grows line by line, survives a kill at any moment, and sets a torn tail aside."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from rung.core.durable import writing
from rung.core.errors import DataError


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
