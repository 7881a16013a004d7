"""Taking people out of the traffic: whose traces they are, and their removal with what was said of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, or_, select

from rung.store.traffic.records import Feedback, Trace
from rung.store.traffic.tables import feedback, traces
from rung.text.normalise import fold


@dataclass(frozen=True)
class Erased:
    """What was taken out."""

    traces: int = 0
    feedback: int = 0
    files: tuple[str, ...] = ()
    """Damaged files that lie beside the database and may hold the same: to be looked at and deleted by a person."""

    def __add__(self, other: Erased) -> Erased:
        return Erased(self.traces + other.traces, self.feedback + other.feedback, self.files + other.files)


def find_person(page: Sequence[Trace], said: Iterable[Feedback], contains: str, fingerprint: str) -> list[str]:
    """Ids of the traces that hold a text, in themselves or in what was said of them; of all where no text is given.

    `fingerprint`: of the text, for traces whose whole question or answer it was and whose texts are not kept.
    """
    if not contains:
        return [trace.id for trace in page]
    wanted = fold(contains)
    spoken = {word.trace for word in said if any(wanted in fold(text) for text in (word.corrected, word.comment))}
    return [trace.id for trace in page if trace.id in spoken or _holds(trace, wanted, fingerprint)]


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
    counted = connection.execute(select(func.count()).select_from(feedback).where(words)).scalar_one()
    connection.execute(delete(feedback).where(words))
    return Erased(connection.execute(delete(traces).where(gone)).rowcount, counted)
