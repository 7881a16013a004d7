"""Traffic databases for tests: SQLite and PostgreSQL alike, and plain traces."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rung.store.traffic.records import Feedback, Trace, new_id

START = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


def a_trace(n: int = 0, **changes: Any) -> Trace:
    """A trace of the n-th minute."""
    plain = Trace(
        id=new_id("rq"),
        at=START + timedelta(minutes=n),
        route="/v1/chat/completions",
        run="rooms",
        candidate="prompt-1",
        inputs={"question": f"When is the rent of room {n} due?"},
        answer="rent",
        tokens_in=10,
        tokens_out=2,
    )
    return replace(plain, **changes)


def a_word(trace: Trace, /, **changes: Any) -> Feedback:
    plain = Feedback(id=new_id("fb"), trace=trace.id, at=trace.at, tenant=trace.tenant, rating=1)
    return replace(plain, **changes)


def fresh_postgres(server: str) -> str:
    """A new database on the server, as an address."""
    import psycopg

    name = f"traffic_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.rpartition("/")[0] + f"/{name}"


def bytes_of(folder: Path) -> bytes:
    """All that lies in a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
