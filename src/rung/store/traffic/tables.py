"""The tables of served traffic, and the one way between a record and a row, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    RowMapping,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

from rung.core.task import Turn
from rung.store.traffic.records import Feedback, Key, Measured, Trace

SCHEMA = "0003"
"""The newest revision under migrations/versions."""
VERSION_TABLE = "rung_schema"
_encode = json.JSONEncoder(separators=(",", ":")).encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A point in time as whole microseconds since 1970 in UTC: the same, and sorted the same, in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """None too for a number that is no moment: one damaged row may not stop the reading of all others."""
        try:
            return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)
        except (TypeError, ValueError, OverflowError, OSError):
            return None


class Json(TypeDecorator[Any]):
    """A JSON value as text. Escaped, it holds a NUL and half a surrogate, which no database takes as they are."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return _encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """`BROKEN` for a text that is no JSON any more."""
        try:
            return json.loads(value)
        except (TypeError, ValueError, RecursionError):
            return BROKEN


class Broken:
    """What stands for a value that cannot be read."""


BROKEN = Broken()


class Said(TypeDecorator[str]):
    """A text from outside, as `holdable` makes it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str:
        return holdable(value or "")

    def process_result_value(self, value: Any, dialect: Dialect) -> str:
        return str(value)


def microseconds(value: datetime) -> int:
    """Since 1970 in UTC."""
    passed = value - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def holdable(text: str) -> str:
    """What PostgreSQL does not hold is replaced: NUL by its picture, half a surrogate by U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\u2400")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


metadata = MetaData()

traces = Table(
    "rung_traces",
    metadata,
    Column("id", Said, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("route", Said, nullable=False),
    Column("run", Said, nullable=False),
    Column("candidate", Said, nullable=False),
    Column("role", Said, nullable=False),
    Column("parent", Said, nullable=False),
    Column("key", Said, nullable=False),
    Column("tenant", Said, nullable=False),
    Column("prompt_hash", Said, nullable=False),
    Column("inputs", Json, nullable=False),
    Column("history", Json, nullable=False),
    Column("answer", Said, nullable=False),
    Column("raw", Said, nullable=False),
    Column("failure", Said, nullable=False),
    Column("finish", Said, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("passages", Json, nullable=False),
    Column("index", Said, nullable=False),
    Column("shots", Json, nullable=False),
    Column("citations", Json, nullable=False),
    Column("confidence", Float(53)),
    Column("tokens_in", Integer, nullable=False),
    Column("tokens_out", Integer, nullable=False),
    Column("seconds_queue", Float(53), nullable=False),
    Column("seconds_engine", Float(53), nullable=False),
    Column("seconds_total", Float(53), nullable=False),
    Column("money", Float(53), nullable=False),
    Column("streamed", Boolean, nullable=False),
    Column("cancelled", Boolean, nullable=False),
    Column("flags", Json, nullable=False),
    Column("served_by", Said, nullable=False),
    Column("consent", Boolean, nullable=False),
    Column("signal", Float(53)),
    Column("input_chars", Integer, nullable=False),
    Column("input_language", Said, nullable=False),
    Column("input_hash", Said, nullable=False),
    Column("answer_chars", Integer, nullable=False),
    Column("answer_hash", Said, nullable=False),
    Column("checksum", BigInteger),
    Index("rung_traces_at", "at", "id"),
    Index("rung_traces_key", "key", "at"),
)
feedback = Table(
    "rung_feedback",
    metadata,
    Column("id", Said, primary_key=True),
    Column("trace", Said, ForeignKey("rung_traces.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
    Column("key", Said, nullable=False),
    Column("tenant", Said, nullable=False),
    Column("rating", SmallInteger, nullable=False),
    Column("corrected", Said, nullable=False),
    Column("comment", Said, nullable=False),
    Column("consent", Boolean, nullable=False),
    Column("checksum", BigInteger),
    Index("rung_feedback_at", "at", "id"),
    Index("rung_feedback_trace", "trace"),
)
keys = Table(
    "rung_keys",
    metadata,
    Column("id", Said, primary_key=True),
    Column("name", Said, nullable=False),
    Column("tenant", Said, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("labels", Json, nullable=False),
    Column("requests_per_minute", Integer),
    Column("tokens_per_day", BigInteger),
    Column("created", Moment, nullable=False),
    Column("expires", Moment),
    Column("revoked", Moment),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("checksum", BigInteger),
)
settings = Table(
    "rung_settings", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False)
)

_TUPLES = ("passages", "shots", "citations", "flags")
_MEASURED = tuple(each.name for each in fields(Measured))
_TRACE = tuple(each.name for each in fields(Trace) if each.name != "measured")
_FEEDBACK = tuple(each.name for each in fields(Feedback))
_TEXTS = tuple(column.name for column in traces.columns if isinstance(column.type, Said))
_NUMBERS = tuple(column.name for column in traces.columns if isinstance(column.type, Float))
_WORDS = tuple(column.name for column in feedback.columns if isinstance(column.type, Said))


def trace_row(trace: Trace) -> dict[str, Any]:
    """A trace with its measures as it is stored, and its sum."""
    row: dict[str, Any] = {name: getattr(trace, name) for name in _TRACE}
    measured = trace.measured or Measured()
    row |= {name: getattr(measured, name) for name in _MEASURED}
    row["inputs"] = _encode(dict(trace.inputs))
    row["history"] = _encode([[turn.role, turn.text] for turn in trace.history]) if trace.history else "[]"
    for name in _TUPLES:
        row[name] = _encode(row[name]) if row[name] else "[]"
    return _summed(row, _TEXTS, _NUMBERS)


def feedback_row(found: Feedback) -> dict[str, Any]:
    return _summed({name: getattr(found, name) for name in _FEEDBACK}, _WORDS, ())


def _summed(row: dict[str, Any], texts: tuple[str, ...], numbers: tuple[str, ...]) -> dict[str, Any]:
    """The row as it is stored, with a CRC-32 over all that is in it.

    It tells on a disk, and not on somebody who changes a row on purpose: who can do that can sum it anew.
    """
    for name in texts:
        row[name] = holdable(row[name] or "")
    for name in numbers:
        # Databases give a whole number back as a float, and one that is none as nothing.
        value = row[name]
        row[name] = None if value is None or value != value else float(value)
    row["at"] = microseconds(row["at"])
    row["checksum"] = crc32("\x1f".join(map(str, row.values())).encode())
    return row


def trace_from(row: Mapping[Any, Any]) -> Trace | None:
    """The trace of a row; None where the row is not what was written: damaged by a disk. One without a sum is older than sums."""
    if not _readable(row):
        return None
    known: dict[str, Any] = {name: row[name] for name in _TRACE}
    try:
        known |= {name: tuple(known[name]) for name in _TUPLES}
        known["history"] = tuple(Turn(role, text) for role, text in known["history"])
        trace = Trace(**known, measured=Measured(**{name: row[name] for name in _MEASURED}))
        return trace if row["checksum"] in {None, trace_row(trace)["checksum"]} else None
    except (TypeError, ValueError):
        return None


def feedback_from(row: Mapping[Any, Any]) -> Feedback | None:
    """The same of feedback."""
    if not _readable(row):
        return None
    word = Feedback(**{name: row[name] for name in _FEEDBACK})
    return word if row["checksum"] in {None, feedback_row(word)["checksum"]} else None


def _readable(row: Mapping[Any, Any]) -> bool:
    return row["at"] is not None and not any(value is BROKEN for value in row.values())


def key_row(key: Key, secret_hash: str) -> dict[str, Any]:
    """A key as SQLAlchemy stores it, with its sum: a changed bit may not open what was closed."""
    row: dict[str, Any] = {each.name: getattr(key, each.name) for each in fields(Key)}
    row["scopes"] = sorted(key.scopes)
    row["labels"] = None if key.labels is None else sorted(key.labels)
    row["secret_hash"] = secret_hash
    stored = [microseconds(value) if isinstance(value, datetime) else value for value in row.values()]
    return row | {"checksum": crc32(_encode(stored).encode())}


def key_from(row: RowMapping) -> Key | None:
    """None for a row that a disk has changed, as `trace_from`."""
    known = {each.name: row[each.name] for each in fields(Key)}
    try:
        labels = known["labels"]
        known |= {"scopes": frozenset(known["scopes"]), "labels": None if labels is None else frozenset(labels)}
        key = Key(**known)
        return key if row["checksum"] in {None, key_row(key, row["secret_hash"])["checksum"]} else None
    except (TypeError, ValueError):
        return None
