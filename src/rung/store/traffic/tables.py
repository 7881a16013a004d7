"""The tables of served traffic, and the one way between a record and a row, for SQLite and PostgreSQL alike."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

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

SCHEMA = "0001"
"""The newest revision under migrations/versions."""
VERSION_TABLE = "rung_schema"
_encode = json.JSONEncoder(separators=(",", ":")).encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A point in time as whole microseconds since 1970 in UTC: the same, and sorted the same, in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        passed = value - _EPOCH
        return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return (
            None
            if value is None
            else datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)
        )


class Json(TypeDecorator[Any]):
    """A JSON value as text. Escaped, it holds a NUL and half a surrogate, which no database takes as they are."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return _encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return json.loads(value)


class Said(TypeDecorator[str]):
    """A text from outside. What PostgreSQL does not hold is replaced: NUL by its picture, half a surrogate by U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str:
        text = value or ""
        if "\0" in text:
            text = text.replace("\0", "\u2400")
        return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def process_result_value(self, value: Any, dialect: Dialect) -> str:
        return str(value)


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
)
settings = Table(
    "rung_settings", metadata, Column("name", Text, primary_key=True), Column("value", Text, nullable=False)
)

_TUPLES = ("passages", "shots", "citations", "flags")
_MEASURED = tuple(each.name for each in fields(Measured))
_TRACE = tuple(each.name for each in fields(Trace) if each.name != "measured")
_FEEDBACK = tuple(each.name for each in fields(Feedback))


def trace_row(trace: Trace) -> dict[str, Any]:
    """A trace with its measures as a row."""
    row: dict[str, Any] = {name: getattr(trace, name) for name in _TRACE}
    measured = trace.measured or Measured()
    row |= {name: getattr(measured, name) for name in _MEASURED}
    row["inputs"] = dict(trace.inputs)
    row["history"] = [[turn.role, turn.text] for turn in trace.history]
    return row


def trace_from(row: RowMapping) -> Trace:
    known: dict[str, Any] = {name: row[name] for name in _TRACE}
    known |= {name: tuple(known[name]) for name in _TUPLES}
    known["history"] = tuple(Turn(role, text) for role, text in known["history"])
    return Trace(**known, measured=Measured(**{name: row[name] for name in _MEASURED}))


def feedback_row(found: Feedback) -> dict[str, Any]:
    return {name: getattr(found, name) for name in _FEEDBACK}


def feedback_from(row: RowMapping) -> Feedback:
    return Feedback(**{name: row[name] for name in _FEEDBACK})


def key_row(key: Key, secret_hash: str) -> dict[str, Any]:
    row: dict[str, Any] = {each.name: getattr(key, each.name) for each in fields(Key)}
    row["scopes"] = sorted(key.scopes)
    row["labels"] = None if key.labels is None else sorted(key.labels)
    return row | {"secret_hash": secret_hash}


def key_from(row: RowMapping) -> Key:
    known = {each.name: row[each.name] for each in fields(Key)}
    labels = known["labels"]
    return Key(
        **known | {"scopes": frozenset(known["scopes"]), "labels": None if labels is None else frozenset(labels)}
    )
