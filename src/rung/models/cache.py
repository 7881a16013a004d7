"""A cache of answers on disk around any model, so that nothing is paid or waited for twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from rung.core.errors import BackendError
from rung.core.hashing import hash_json
from rung.core.model import Completion, Model, Request
from rung.models.completion_record import read_completion, write_completion

_FORMAT = 1
_BUSY_SECONDS = 30.0
_BATCH = 500
_T = TypeVar("_T")


def request_key(identity: Any, request: Request) -> str:
    """SHA-256 over who is asked and all that is asked."""
    asked = {
        "messages": [[message.role, message.text] for message in request.messages],
        "choices": request.choices,
        "json_schema": request.json_schema,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "query": request.query,
        "passages": [[passage.id, passage.text] for passage in request.passages],
        "shots": [[shot.id, dict(shot.inputs), shot.references] for shot in request.shots],
        # What says nothing leaves an answer under the key it always had.
        **({"repeat": request.repeat} if request.repeat else {}),
        **({"top_p": request.top_p} if request.top_p != 1.0 else {}),
        **({"stop": request.stop} if request.stop else {}),
    }
    return hash_json({"format": _FORMAT, "model": identity, "request": asked}, 64)


def paid(path: Path) -> float:
    """What the answers in a cache file were charged, each of them once; 0 where there is no file."""
    if not path.is_file():
        return 0.0
    store = _Store(path)
    try:
        return store.paid()
    finally:
        store.close()


class CachedModel:
    """Answers from the cache what was asked before, and asks `model` the rest, each distinct request once.

    A cached completion keeps the tokens, seconds and money of the original call and says `cached`. Failures are never
    kept. The key is the model's `identity` where it has one, else its whole `ref`. A damaged file is moved aside and a
    damaged row dropped, with a warning; when the disk takes no more, answers go through unkept, with a warning.

    Several threads and processes may share one file. Raises BackendError E3110 when it cannot be opened at all.
    """

    def __init__(self, model: Model, path: Path) -> None:
        self.model = model
        self.ref = model.ref
        self.capabilities = model.capabilities
        identity = getattr(model, "identity", None)
        self._identity = model.ref.model_dump(mode="json") if identity is None else identity
        self._store = _Store(path)

    def __getattr__(self, name: str) -> Any:
        # What a backend offers beyond answering (training, streaming) is reached through the cache, but not kept.
        if name in {"model", "generate_each"}:
            raise AttributeError(name)
        return getattr(self.model, name)

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        keys = [request_key(self._identity, request) for request in requests]
        known = self._store.find(list(dict.fromkeys(keys)))
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in known}
        first = dict(zip(missing, self._ask(missing), strict=True))
        completions = []
        for key in keys:
            completions.append(known[key] if key in known else first[key])
            # The second of two equal requests in one batch comes from the cache, as it would in the next batch.
            if key not in known and first[key].failure is None:
                known[key] = replace(first[key], cached=True)
        return completions

    def _ask(self, missing: dict[str, Request]) -> list[Completion]:
        keys = list(missing)
        each = getattr(self.model, "generate_each", None)
        if each is None:
            completions = self.model.generate(list(missing.values())) if missing else []
            self._store.add(dict(zip(keys, completions, strict=True)))
            return completions
        # An endpoint's answers are kept one by one: what is paid for stays, whatever happens to the rest of the batch.
        found: dict[int, Completion] = {}
        for done in each(list(missing.values())):
            found[done.index] = done.completion
            self._store.add({keys[done.index]: done.completion})
        return [found[index] for index in range(len(keys))]

    def close(self) -> None:
        """Close the file, and the model where it can be closed."""
        self._store.close()
        if close := getattr(self.model, "close", None):
            close()


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    value: str
    check: str

    @property
    def sound(self) -> bool:
        return self.check == _check(self.key, self.value)


def _check(key: str, value: str) -> str:
    return hashlib.sha256(f"{key}\n{value}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


class _Store:
    """The file: one table of answers by key.

    SQLite's rollback journal, not its write-ahead log: that has lost data with several writers before SQLite 3.51.3.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._troubled = False
        self._file: sqlite3.Connection | None = None
        self._heal(self._open)

    def __del__(self) -> None:
        self.close()

    def find(self, keys: list[str]) -> dict[str, Completion]:
        """The kept completions among these keys."""
        rows = self._heal(lambda: list(self._select(keys))) or []
        found, bad = {}, []
        for row in rows:
            try:
                if not row.sound:
                    raise ValueError(row.key)
                found[row.key] = replace(read_completion(json.loads(row.value)), cached=True)
            except (TypeError, ValueError, KeyError):
                bad.append((row.key,))
        if bad:
            warnings.warn(f"{self._path.name}: {len(bad)} damaged cached answers are asked for again", stacklevel=2)
            self._heal(lambda: self._write("DELETE FROM answers WHERE key = ?", bad))
        return found

    def paid(self) -> float:
        """The money of every kept completion."""
        query = "SELECT key, value, sum FROM answers"
        rows = self._heal(lambda: [_Row(*map(str, row)) for row in self._connection().execute(query)]) or []
        return sum(float(json.loads(row.value).get("money", 0.0)) for row in rows if row.sound)

    def add(self, completions: dict[str, Completion]) -> None:
        """Keep the completions that are no failures."""
        rows = []
        for key, completion in completions.items():
            if completion.failure is None:
                value = json.dumps(write_completion(completion))
                rows.append((key, value, _check(key, value)))
        if rows:
            self._heal(lambda: self._write("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", rows))

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _select(self, keys: list[str]) -> Iterator[_Row]:
        for start in range(0, len(keys), _BATCH):
            part = keys[start : start + _BATCH]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, value, sum FROM answers WHERE key IN ({marks})"
            for row in self._connection().execute(query, part):
                yield _Row(*(str(field) for field in row))

    def _write(self, statement: str, rows: Sequence[tuple[str, ...]]) -> None:
        connection = self._connection()
        with connection:
            connection.executemany(statement, rows)

    def _connection(self) -> sqlite3.Connection:
        if self._file is None:
            self._open()
        assert self._file is not None
        return self._file

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Closed by hand; threads take turns under the lock.
            connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False)
        except (OSError, sqlite3.OperationalError) as error:
            raise BackendError("E3110", where=str(self._path), reason=str(error)) from None
        try:
            with connection:
                connection.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, value TEXT, sum TEXT)")
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("quick_check failed")
        except sqlite3.Error:
            connection.close()
            raise
        self._file = connection

    def _heal(self, work: Callable[[], _T]) -> _T | None:
        """Do the work; where the file turns out to be damaged, open it again, and then move it aside and begin anew."""
        with self._lock:
            for remedy in (self._reopen, self._move_aside, None):
                try:
                    return work()
                except sqlite3.OperationalError as error:
                    # Locked for too long, disk full, read-only: answers matter more than their cache.
                    if not self._troubled:
                        self._troubled = True
                        warnings.warn(
                            f"{self._path.name}: answers cannot be kept or found again: {error}", stacklevel=2
                        )
                    return None
                except sqlite3.DatabaseError:
                    if remedy is None:
                        raise
                    remedy()
        return None

    def _reopen(self) -> None:
        """Another process may have moved the damaged file aside already, so look again before doing that."""
        self.close()

    def _move_aside(self) -> None:
        self.close()
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.damaged-{number}")).exists():
            number += 1
        # The journal belongs to the damaged file, and would be played into the new one.
        for suffix in ("", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").replace(f"{aside}{suffix}")
        warnings.warn(f"{self._path.name} is damaged: moved aside as {aside.name}, and begun anew", stacklevel=2)
