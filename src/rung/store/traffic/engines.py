"""The ways to a traffic database: where it is, connections for reading, writing and writing for good, and its schema."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import DataError as ImpossibleValue

from rung.core.durable import free_space
from rung.core.errors import BackendError, DataError, UsageError, WriteError
from rung.store.traffic.tables import SCHEMA, VERSION_TABLE
from rung.store.traffic.turns import Turns

ADDRESS = "RUNG_TRAFFIC"
"""The environment variable that names another database than the file in the folder of what is served."""
FILE = "traffic.sqlite"
_MIGRATIONS = Path(__file__).with_name("migrations")
_WAIT = 20.0
"""Seconds that a writer waits for another process's write to end."""
_SCHEMA_LOCK = 0x52554E48
"""PostgreSQL's advisory lock for those who open the database at the same time."""


@dataclass(frozen=True)
class Engines:
    """What is written may be lost in a power cut in its last moments, never in a crash; what is kept is on disk."""

    place: str
    """What people are shown; without a password."""
    path: Path | None
    """The file, of SQLite."""
    reading: Engine
    writing: Engine
    lasting: Engine
    turns: Turns | None = field(default=None)
    """Of those who write to a SQLite file."""

    def write(self) -> AbstractContextManager[Connection]:
        """A transaction that may change something, committed at its end."""
        return self._changing(self.writing)

    def keep(self) -> AbstractContextManager[Connection]:
        """The same; on disk when it is through."""
        return self._changing(self.lasting)

    def turn(self) -> AbstractContextManager[object]:
        """Nobody else of ours writes meanwhile."""
        return nullcontext() if self.turns is None else self.turns.mine(_WAIT)

    @contextmanager
    def _changing(self, engine: Engine) -> Iterator[Connection]:
        with self.turn(), engine.begin() as connection:
            yield connection

    def close(self) -> None:
        for engine in {self.reading, self.writing, self.lasting}:
            engine.dispose()
        if self.turns is not None:
            self.turns.close()


def address_of(url: str | Path) -> URL:
    """A path or an address as an SQLAlchemy URL. Raises UsageError E7051 for one that is neither SQLite nor PostgreSQL."""
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite", database=str(url))
    try:
        found = make_url(url)
    except ArgumentError:
        # What the library says would show the address, with its password.
        raise UsageError("E7051", scheme=url.partition(":")[0]) from None
    kind = found.drivername.partition("+")[0]
    if kind in {"postgres", "postgresql"}:
        return found.set(drivername="postgresql+psycopg")
    if kind == "sqlite" and found.database and found.database != ":memory:":
        return URL.create("sqlite", database=found.database)
    raise UsageError("E7051", scheme=found.drivername)


def address_in(folder: Path) -> str | Path:
    """Where the traffic of what is served from a folder lies: what RUNG_TRAFFIC says, or a file there."""
    return os.environ.get(ADDRESS) or folder / FILE


def make_engines(url: URL) -> Engines:
    """Nothing is connected yet. Raises UsageError E1102 without the driver of PostgreSQL."""
    if url.drivername == "sqlite":
        path = Path(str(url.database))
        durable = (("NORMAL", "BEGIN"), ("NORMAL", "BEGIN IMMEDIATE"), ("FULL", "BEGIN IMMEDIATE"))
        reading, writing, lasting = (_sqlite(url, sync, begin) for sync, begin in durable)
        return Engines(str(path), path, reading, writing, lasting, Turns(path.with_name(path.name + ".turn")))
    try:
        engine = create_engine(
            url, pool_pre_ping=True, connect_args={"connect_timeout": 10, "application_name": "rung"}
        )
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise UsageError("E1102", kind="store", name="postgresql", package="psycopg", extra="postgres") from error
    return Engines(url.render_as_string(hide_password=True), None, engine, engine, engine)


def _sqlite(url: URL, synchronous: str, begin: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _WAIT, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # Transactions begin where we say so: a write that began as a read could find its database changed below it.
        connection.isolation_level = None
        # A text that is none any more is read as what is left of it: its row's sum tells on it.
        connection.text_factory = _text
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            "secure_delete=ON",
            "cell_size_check=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@contextmanager
def told(place: str, path: Path | None = None) -> Iterator[None]:
    """A database's refusal in plain words: DataError E7059 for a value, WriteError E5001, E5002 for a disk's, else
    BackendError E7052."""
    try:
        yield
    except (ImpossibleValue, IntegrityError, OverflowError) as error:
        raise DataError("E7059", place=place, reason=type(error).__name__) from None
    except DatabaseError as error:
        reason = str(error.orig).strip().splitlines()[0] if error.orig and str(error.orig).strip() else "no answer"
        if path is not None and "full" in reason:
            raise WriteError("E5002", path=path, free=free_space(path)) from None
        if path is not None and ("readonly" in reason or "unable to open" in reason):
            raise WriteError("E5001", path=path, reason=reason) from None
        raise BackendError("E7052", place=place, reason=reason) from None
    except SQLAlchemyError as error:
        raise BackendError("E7052", place=place, reason=type(error).__name__) from None


def upgrade(engines: Engines) -> None:
    """Bring the tables to today's form. Raises DataError E7053 where a newer Rung has made them."""
    with engines.keep() as connection:
        if engines.path is None:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))
        found = schema_of(connection)
        if found == SCHEMA:
            return
        # Loaded only where there is something to do: opening is on the way of every command.
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DataError("E7053", place=engines.place, found=found, known=SCHEMA) from error


def schema_of(connection: Connection) -> str:
    """The revision of the tables; '' where there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return ""
    return str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() or "")
