"""A damaged traffic database of SQLite: found, set aside, restored from its backup, and what else could be read put back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, Table
from sqlalchemy.types import TypeEngine

from rung.core.durable import aside, sync, writing
from rung.core.errors import Problem
from rung.store.traffic.tables import Json, Moment, feedback, keys, settings, traces

BACKUP_AFTER = timedelta(days=1)
_LAST = 253_402_300_799_999_999
"""Microseconds at the end of the year 9999, after which there is no date."""
_SAVED = (("settings", settings), ("keys", keys), ("traces", traces), ("feedback", feedback))
_SIDE = ("-wal", "-shm")
_IN_FULL = 256 << 20
"""Bytes up to which indexes are held against their tables too, when a database is opened."""


@dataclass(frozen=True)
class Mended:
    """What became of a damaged database."""

    path: Path
    reason: str
    kept: Path
    """Where the damaged files lie now."""
    backup: datetime | None
    """When the backup was made that was put in its place; None where there was none."""
    restored: dict[str, int] = field(default_factory=dict)
    """Rows by table that came from the backup."""
    read: dict[str, int] = field(default_factory=dict)
    """Rows by table that could be read out of the damaged files besides."""

    @property
    def problem(self) -> Problem:
        """E7054, or E7055 where there was no backup."""
        names = ("traces", "feedback", "keys")
        counts = {f"{name}_restored": self.restored.get(name, 0) for name in names}
        counts |= {f"{name}_read": self.read.get(name, 0) for name in names}
        when = f"{self.backup:%Y-%m-%d %H:%M} UTC" if self.backup else ""
        values = {"path": self.path, "reason": self.reason, "kept": self.kept, "when": when}
        return Problem("E7054" if self.backup else "E7055", "", values | counts)


def backup_path(path: Path) -> Path:
    return path.with_name(path.name + ".backup")


def damage(path: Path) -> str:
    """What is wrong with a database, mostly in SQLite's words; '' when nothing is."""
    head, size = _head(path), path.stat().st_size
    if not size:
        # For SQLite an empty file is an empty database.
        return "the file is empty" if backup_path(path).exists() else ""
    if not head.startswith(b"SQLite format 3\0") or not {1, 2}.issuperset(head[18:20]):
        return "the header is damaged"
    try:
        with closing(_raw(path)) as connection:
            found = str(
                connection.execute(f"PRAGMA {'integrity' if size <= _IN_FULL else 'quick'}_check(1)").fetchone()[0]
            )
            if found != "ok":
                return found
            return _unreadable(connection) if size <= _IN_FULL else ""
    except sqlite3.OperationalError as error:
        busy = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN}
        return "" if error.sqlite_errorcode in busy else str(error)
    except sqlite3.DatabaseError as error:
        return str(error)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(20)


def _raw(path: Path) -> sqlite3.Connection:
    """A connection below our types: a text that is none is read as nothing."""
    connection = sqlite3.connect(path, timeout=20, isolation_level=None)
    connection.text_factory = _text
    return connection


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _unreadable(connection: sqlite3.Connection) -> str:
    """The first row whose values cannot be, which SQLite's own check does not see; '' when there is none."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for _, table in _SAVED:
        if table.name in there:
            columns = _columns(connection, table)
            for n, row in enumerate(connection.execute(_select(table, columns)), 1):
                if not _whole(columns, row):
                    return f"row {n} of {table.name} cannot be read"
    return ""


def _columns(connection: sqlite3.Connection, table: Table) -> list[Column[Any]]:
    """The columns of today that a table of an older Rung has too: an unknown name in quotes is a text for SQLite."""
    there = {name for _, name, *_ in connection.execute(f'PRAGMA table_info("{table.name}")')}
    return [column for column in table.columns if column.name in there]


def _select(table: Table, columns: Sequence[Column[Any]]) -> str:
    return f'SELECT {_listed(columns)} FROM "{table.name}" ORDER BY rowid'


def _listed(columns: Sequence[Column[Any]]) -> str:
    return ", ".join(f'"{column.name}"' for column in columns)


def backup_due(path: Path, now: datetime) -> bool:
    """Whether the last backup is a day old, or there is none."""
    try:
        made = datetime.fromtimestamp(backup_path(path).stat().st_mtime, UTC)
    except FileNotFoundError:
        return True
    return not now - BACKUP_AFTER < made <= now


def back_up(path: Path) -> None:
    """Write the whole database beside itself. The backup before it goes only once this one is sound and on disk."""
    working = aside(backup_path(path))
    with writing(working):
        try:
            working.touch(mode=0o600)
            with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as connection:
                connection.execute("VACUUM INTO ?", (str(working),))
            if found := damage(working):
                raise sqlite3.DatabaseError(found)
            sync(working)
            working.replace(backup_path(path))
            sync(path.parent)
        finally:
            working.unlink(missing_ok=True)


def empty_log(path: Path) -> None:
    """Move what the log holds into the database, and leave nothing in the log; readers may put that off."""
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def set_aside(path: Path) -> list[Path]:
    """Damaged files of earlier days."""
    return sorted(path.parent.glob(f"{path.name}.damaged-*"))


def mend(path: Path, reason: str, now: datetime, build: Callable[[], None]) -> Mended:
    """Set a damaged database aside and put its backup in its place, with whatever else can still be read.

    `build` makes the tables where there is no backup, and brings those of an old backup to today's form.
    """
    kept = path.with_name(f"{path.name}.damaged-{now:%Y%m%dT%H%M%S}")
    with writing(path):
        for side in ("", *_SIDE):
            if (part := path.with_name(path.name + side)).exists():
                part.replace(kept.with_name(kept.name + side))
        backup, made = backup_path(path), None
        if backup.is_file() and not damage(backup):
            made = datetime.fromtimestamp(backup.stat().st_mtime, UTC)
            working = aside(path)
            shutil.copy2(backup, working)
            sync(working)
            working.replace(path)
        sync(path.parent)
    build()
    restored = _counts(path)
    # SQLite may write to what it reads, and mend or drop a log: a copy is read, and the files stay as they were found.
    copy = aside(kept)
    try:
        for side in ("", *_SIDE[:1]):
            if (part := kept.with_name(kept.name + side)).exists():
                shutil.copy2(part, copy.with_name(copy.name + side))
        _read_out(copy, path)
    finally:
        for side in ("", *_SIDE):
            copy.with_name(copy.name + side).unlink(missing_ok=True)
    read = {name: n - restored[name] for name, n in _counts(path).items()}
    return Mended(path, reason, kept, made, restored if made else {}, read)


def _counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            name: connection.execute(f'SELECT count(*) FROM "{table.name}"').fetchone()[0]
            for name, table in _SAVED
            if name != "settings"
        }


def _read_out(damaged: Path, path: Path) -> None:
    """Rows of the damaged database that are whole, and not there yet."""
    with closing(_raw(damaged)) as source, closing(_raw(path)) as target:
        target.execute("PRAGMA foreign_keys=ON")
        target.execute("BEGIN IMMEDIATE")
        for _, table in _SAVED:
            try:
                columns = _columns(source, table)
            except sqlite3.DatabaseError:
                continue
            values = ", ".join("?" * len(columns))
            put = f'INSERT OR IGNORE INTO "{table.name}" ({_listed(columns)}) VALUES ({values})'
            for order in ("", " DESC"):
                # From both ends: one damaged page in the middle hides only what lies on it.
                for row in _rows(source, _select(table, columns) + order):
                    # What was said of an answer that is lost belongs to nothing.
                    with suppress(sqlite3.IntegrityError):
                        if _whole(columns, row):
                            target.execute(put, row)
        target.execute("COMMIT")


def _rows(source: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    try:
        yield from source.execute(query)
    except sqlite3.DatabaseError:
        return


def _whole(columns: Sequence[Column[Any]], row: tuple[Any, ...]) -> bool:
    """Whether a row's values are what its columns hold."""
    return all(
        column.nullable if value is None else _fits(column.type, value)
        for column, value in zip(columns, row, strict=True)
    )


def _fits(kind: TypeEngine[Any], value: Any) -> bool:
    if isinstance(kind, Json):
        try:
            json.loads(value)
        except (ValueError, TypeError):
            return False
        return True
    if isinstance(kind, Moment):
        return isinstance(value, int) and 0 <= value <= _LAST
    if isinstance(kind, Float):
        return isinstance(value, (int, float))
    return isinstance(value, int if isinstance(kind, (Integer, Boolean)) else str)
