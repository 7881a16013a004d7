"""The shared store's tables in PostgreSQL, the way to them, and what goes wrong on it in plain words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from pgvector.psycopg import register_vector
from psycopg import Connection, IsolationLevel
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Composed, Identifier, Literal

from rung.core.errors import BackendError, DataError, UsageError

ADDRESS = "RUNG_POSTGRES"
"""The environment variable that says where the server is. It is read when a connection is made, and kept nowhere."""
FORMAT = 1
LEAST_PGVECTOR = (0, 8)
"""Since then a search by a graph goes on until enough of what it finds may be seen."""
_LOCKS = 0x52554E47
"""First half of the advisory locks; the second is the base."""
_PREPARING = 0

_SHARED = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE SCHEMA IF NOT EXISTS rung;
CREATE TABLE IF NOT EXISTS rung.bases (
  id serial PRIMARY KEY, name text NOT NULL UNIQUE, format int NOT NULL, kind text NOT NULL, encoder text NOT NULL,
  dimensions int NOT NULL, recipe text NOT NULL, current int NOT NULL, highest int NOT NULL);
CREATE TABLE IF NOT EXISTS rung.versions (
  base int NOT NULL REFERENCES rung.bases ON DELETE CASCADE, number int NOT NULL, members int[] NOT NULL,
  items int NOT NULL, documents int NOT NULL, change text NOT NULL, made timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (base, number));
CREATE TABLE IF NOT EXISTS rung.segments (
  id serial PRIMARY KEY, base int NOT NULL REFERENCES rung.bases ON DELETE CASCADE, access text[] NOT NULL,
  size int NOT NULL, lengths bytea NOT NULL);
"""
_OWN = """
CREATE TABLE {items} (
  segment int NOT NULL, place int NOT NULL, id bytea NOT NULL, text_hash bytea NOT NULL, line text NOT NULL,
  marks text[] NOT NULL, PRIMARY KEY (segment, place));
CREATE INDEX ON {items} USING hash (id);
CREATE INDEX ON {items} USING hash (text_hash);
CREATE INDEX ON {items} USING gin (marks);
CREATE TABLE {lists} (
  segment int NOT NULL, term bytea NOT NULL, docs bytea NOT NULL, counts bytea NOT NULL, bound real NOT NULL,
  PRIMARY KEY (term, segment));
ALTER TABLE {lists} ALTER docs SET STORAGE EXTERNAL, ALTER counts SET STORAGE EXTERNAL;
CREATE TABLE {documents} (
  segment int NOT NULL, document bytea NOT NULL, digest text NOT NULL, places int[] NOT NULL,
  PRIMARY KEY (document, segment));
CREATE TABLE {dead} (segment int NOT NULL, place int NOT NULL, since int NOT NULL, until int);
CREATE INDEX ON {dead} (segment, place);
"""
_VECTORS = """
CREATE TABLE {vectors} (
  segment int NOT NULL, place int NOT NULL, vector vector({dimensions}) NOT NULL, PRIMARY KEY (segment, place));
ALTER TABLE {vectors} ALTER vector SET STORAGE PLAIN;
CREATE TABLE {pending} (text_hash bytea PRIMARY KEY, vector vector({dimensions}) NOT NULL);
"""
_TABLES = ("items", "lists", "documents", "dead", "vectors", "pending")


@dataclass(frozen=True)
class Base:
    """A knowledge base of the store. `number` is in the names of its tables."""

    number: int
    name: str
    kind: str
    encoder: str
    dimensions: int
    """0 without an encoder."""
    recipe: str
    """JSON: how documents are cut."""
    current: int
    highest: int

    def sql(self, text: str, **more: Any) -> Composed:
        """A statement with {items}, {lists}, {documents}, {dead}, {vectors}, {pending} standing for this base's tables."""
        names = {table: Identifier("rung", f"{table}_{self.number}") for table in _TABLES}
        return SQL(text).format(**names, dimensions=Literal(self.dimensions), **more)  # type: ignore[arg-type]


def connect(address: str | None = None, *, reading: bool = False) -> Connection[Any]:
    """A connection to the store; for `reading`, one whose transactions each see one moment and can change nothing.

    Raises UsageError E2780 where no address is given, E2781 for one that cannot be read; BackendError E2782 where there is
    no answer, E2783 where pgvector is missing or too old.
    """
    address = address or os.environ.get(ADDRESS, "")
    if not address:
        raise UsageError("E2780", variable=ADDRESS)
    try:
        given = {"application_name": "rung", "connect_timeout": 10} | conninfo_to_dict(address)
    except psycopg.Error:
        # What psycopg says would show the address, with its password.
        raise UsageError("E2781", variable=ADDRESS) from None
    try:
        connection = psycopg.connect(**given, autocommit=not reading)  # type: ignore[arg-type]
    except psycopg.OperationalError as error:
        raise _unreachable(error, _place(given), given.get("password")) from None
    if reading:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
    try:
        with told(connection):
            _ready(connection, reading)
    except BaseException:
        connection.close()
        raise
    return connection


def _ready(connection: Connection[Any], reading: bool) -> None:
    """Tables where there are none yet; the type of vectors made known."""
    there = connection.execute("SELECT to_regclass('rung.segments') IS NOT NULL").fetchone()
    if not reading and not (there and there[0]):
        with connection.transaction():
            # Two first writers must not both make the tables.
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_LOCKS, _PREPARING))
            connection.execute(_SHARED)
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    found = row[0] if row else ""
    if found and tuple(int(part) for part in found.split(".")[:2]) < LEAST_PGVECTOR:
        raise BackendError("E2783", host=place(connection), found=found)
    if found:
        register_vector(connection)
    if reading:
        connection.rollback()


def place(connection: Connection[Any]) -> str:
    """'host:port/database', for people."""
    return _place(connection.info.get_parameters())


def _place(given: Any) -> str:
    return f"{given.get('host') or given.get('hostaddr') or 'localhost'}:{given.get('port') or 5432}/{given.get('dbname') or ''}"


def _unreachable(error: psycopg.Error, host: str, password: Any = None) -> BackendError:
    return BackendError("E2782", host=host, reason=_first_line(error, password))


def _first_line(error: psycopg.Error, password: Any = None) -> str:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return said.replace(str(password), "***") if password else said


@contextmanager
def told(connection: Connection[Any]) -> Iterator[None]:
    """Turn what the server says into errors of ours.

    Raises BackendError E2782 for a lost connection, E2783 where pgvector is missing, E2784 for anything else it refuses.
    """
    try:
        yield
    except psycopg.Error as error:
        host, password = place(connection), connection.info.password
        if connection.broken or connection.closed or isinstance(error, psycopg.OperationalError):
            raise _unreachable(error, host, password) from None
        if isinstance(error, psycopg.errors.FeatureNotSupported | psycopg.errors.UndefinedFile) and "vector" in str(
            error
        ):
            raise BackendError("E2783", host=host, found="-") from None
        raise BackendError("E2784", host=host, reason=_first_line(error, password)) from None


def find_base(connection: Connection[Any], name: str) -> Base | None:
    """A base by its name. Raises DataError E2706 for another format."""
    there = connection.execute("SELECT to_regclass('rung.segments') IS NOT NULL").fetchone()
    if not (there and there[0]):
        return None
    row = connection.execute(
        "SELECT format, id, name, kind, encoder, dimensions, recipe, current, highest FROM rung.bases WHERE name = %s",
        (name,),
    ).fetchone()
    if row is None:
        return None
    if row[0] != FORMAT:
        raise DataError("E2706", f"postgres:{name}", found=row[0], known=FORMAT)
    return Base(*row[1:])


def make_base(connection: Connection[Any], name: str, kind: str, encoder: str, dimensions: int, recipe: str) -> Base:
    """A base without a version and its tables; nothing of it is seen before the transaction ends."""
    row = connection.execute(
        "INSERT INTO rung.bases (name, format, kind, encoder, dimensions, recipe, current, highest) "
        "VALUES (%s, %s, %s, %s, %s, %s, 0, 0) RETURNING id",
        (name, FORMAT, kind, encoder, dimensions, recipe),
    ).fetchone()
    assert row is not None
    base = Base(row[0], name, kind, encoder, dimensions, recipe, 0, 0)
    connection.execute(base.sql(_OWN))
    if dimensions:
        connection.execute(base.sql(_VECTORS))
    return base


def drop_base(connection: Connection[Any], base: Base) -> None:
    """Remove a base with all it holds."""
    for table in _TABLES:
        connection.execute(SQL("DROP TABLE IF EXISTS {}").format(Identifier("rung", f"{table}_{base.number}")))
    connection.execute("DELETE FROM rung.bases WHERE id = %s", (base.number,))


@contextmanager
def writing(connection: Connection[Any], name: str) -> Iterator[None]:
    """Hold a base for this process; a second writer waits. The server lets go of it when the process dies."""
    connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (_LOCKS, name))
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", (_LOCKS, name))
