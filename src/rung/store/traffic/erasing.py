"""Taking people out of the traffic: whose traces they are, and their removal with what was said of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select

from rung.store.traffic.records import Feedback, Trace
from rung.store.traffic.tables import feedback, traces
from rung.text.normalise import fold

_PART = 500
"""Ids in one statement."""


@dataclass(frozen=True)
class Erased:
    """What was taken out."""

    traces: int = 0
    feedback: int = 0
    files: tuple[str, ...] = ()
    """Damaged files that lie beside the database and may hold the same: to be looked at and deleted by a person."""

    def __add__(self, other: Erased) -> Erased:
        return Erased(self.traces + other.traces, self.feedback + other.feedback, self.files + other.files)


def find_person(
    page: Mapping[str, Trace | None], said: Iterable[tuple[str, Feedback | None]], contains: str, fingerprint: str
) -> list[str]:
    """Ids of the traces that hold a text, in themselves or in what was said of them; of all where no text is given.

    `said`: words by the trace that they are on. None stands for what is damaged, and may hold anything. `fingerprint`: of the
    text, for traces whose whole question or answer it was and whose texts are not kept.
    """
    if not contains:
        return list(page)
    wanted = fold(contains)
    spoken = {
        trace
        for trace, word in said
        if word is None or any(wanted in fold(text) for text in (word.corrected, word.comment))
    }
    return [id for id, trace in page.items() if trace is None or id in spoken or _holds(trace, wanted, fingerprint)]


def _holds(trace: Trace, wanted: str, fingerprint: str) -> bool:
    if trace.measured and fingerprint in {trace.measured.input_hash, trace.measured.answer_hash}:
        return True
    return any(wanted in fold(text) for text in trace.texts())


def remove_traces(connection: Connection, ids: Sequence[str]) -> Erased:
    """Remove traces, their shadows, and all that was said of them."""
    if not ids:
        return Erased()
    gone = or_(traces.c.id.in_(ids), traces.c.parent.in_(ids))
    words = feedback.c.trace.in_(select(traces.c.id).where(gone))
    counted = _words(connection, words)
    connection.execute(delete(feedback).where(words))
    return Erased(connection.execute(delete(traces).where(gone)).rowcount, counted)


def count_old(connection: Connection, older_than: datetime) -> Erased:
    """What is older than a moment. A shadow has the time of what it is the shadow of."""
    old = traces.c.at < older_than
    words = feedback.c.trace.in_(select(traces.c.id).where(old))
    there = connection.execute(select(func.count()).select_from(traces).where(old)).scalar_one()
    return Erased(there, _words(connection, words))


def count_traces(connection: Connection, ids: Collection[str]) -> Erased:
    """What `remove_traces` would take out."""
    all_ids, words = set(ids), 0
    for part in _parts(ids):
        all_ids.update(connection.execute(select(traces.c.id).where(traces.c.parent.in_(part))).scalars())
    for part in _parts(all_ids):
        words += _words(connection, feedback.c.trace.in_(part))
    return Erased(len(all_ids), words)


def _parts(ids: Collection[str]) -> Iterator[list[str]]:
    known = sorted(ids)
    return (known[start : start + _PART] for start in range(0, len(known), _PART))


def _words(connection: Connection, which: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(feedback).where(which)).scalar_one())
