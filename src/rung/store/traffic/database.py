"""The traffic database: answers, feedback and keys in SQLite or PostgreSQL, by the same code."""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

from sqlalchemy import BigInteger, RowMapping, Select, Table, and_, or_, select, type_coerce

from rung.core.durable import writing
from rung.core.errors import DataError, Problem
from rung.store.traffic import keys as key_book
from rung.store.traffic.engines import Engines, address_of, make_engines, told, upgrade
from rung.store.traffic.erasing import Erased, count_old, count_traces, find_person, remove_traces
from rung.store.traffic.keeping import Keeping, Mask
from rung.store.traffic.keys import Quota
from rung.store.traffic.mending import Mended, back_up, backup_due, damage, empty_log, mend, set_aside
from rung.store.traffic.putting import put
from rung.store.traffic.records import Feedback, Key, Trace
from rung.store.traffic.tables import feedback as said
from rung.store.traffic.tables import feedback_from, feedback_row, settings, trace_from, trace_row, traces

_PAGE = 500
"""Rows that are read at a time, so that no reader holds up a writer."""
_SALT = "fingerprint"
T = TypeVar("T")


class Traffic:
    """What was answered, what was said of it, and who may ask. Safe to use from several threads and processes.

    `tenant=None` reads as the operator; with a tenant, what belongs to another is as if it were not there.
    """

    def __init__(self, engines: Engines, keeping: Keeping, lock: IO[str] | None, mended: Mended | None) -> None:
        self._engines = engines
        self._keeping = keeping
        self._lock = lock
        self._saving = threading.Lock()
        self.mended = mended
        """What had to be done to a damaged database when it was opened."""
        self.damaged: set[str] = set()
        """Ids of rows that were read and are not what was written; they are passed over."""

    @classmethod
    def open(cls, url: str | Path, *, texts: bool = True, mask: Mask | None = None) -> Traffic:
        """A path means SQLite at that file, which is made where it is not there; else postgresql://USER:SECRET@HOST/DATABASE.

        `texts=False`: of what people and models said, only lengths, languages and keyed hashes are kept. `mask`: changes
        every text before it is kept. A damaged SQLite database is set aside and restored: see `mended`. Raises UsageError
        E7051, E1102; BackendError E7052; DataError E7053; WriteError.
        """
        engines = make_engines(address_of(url))
        lock, mended = None, None
        try:
            if engines.path is not None:
                lock, mended = _prepared(engines, engines.path)
            else:
                with told(engines.place):
                    upgrade(engines)
            with told(engines.place, engines.path):
                keeping = Keeping(_salt(engines), texts, mask)
        except BaseException:
            engines.close()
            if lock is not None:
                lock.close()
            raise
        return cls(engines, keeping, lock, mended)

    @property
    def place(self) -> str:
        """Where it is, without a password."""
        return self._engines.place

    @property
    def texts(self) -> bool:
        return self._keeping.texts

    def fingerprint(self, text: str) -> str:
        """The hash by which this database knows a text: `Measured.answer_hash` of an answer that says it."""
        return self._keeping.fingerprint(text)

    def add_traces(self, found: Sequence[Trace]) -> None:
        """One that is there already is left as it is."""
        if not found:
            return
        rows = [trace_row(self._keeping.trace(trace)) for trace in found]
        with self._told(), self._engines.write() as connection:
            put(connection, traces, rows)

    def add_feedback(self, feedback: Feedback) -> None:
        """On disk when this returns. Raises DataError E7050 alike for a trace that is unknown and for another tenant's."""
        row = feedback_row(self._keeping.feedback(feedback))
        with self._told(), self._engines.keep() as connection:
            owner = connection.execute(select(traces.c.tenant).where(traces.c.id == feedback.trace)).scalar()
            if owner is None or owner != feedback.tenant:
                raise DataError("E7050", trace=feedback.trace)
            put(connection, said, [row])

    def trace(self, id: str, tenant: str | None = None) -> Trace | None:
        query = _of(select(traces).where(traces.c.id == id), traces, tenant=tenant)
        with self._told(), self._engines.reading.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else next(self._whole([row], trace_from), None)

    def traces(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        role: str | None = None,
        candidate: str | None = None,
        limit: int | None = None,
        tenant: str | None = None,
        key: str | None = None,
    ) -> Iterator[Trace]:
        """The oldest first, without damaged rows: see `damaged`. `since` is part of the time asked for, `until` is not."""
        wanted = {"role": role, "candidate": candidate, "tenant": tenant, "key": key}
        query = _of(_between(select(traces), traces, since, until), traces, **wanted)
        return self._whole(self._pages(query, traces, limit), trace_from)

    def feedback(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        trace: str | None = None,
        tenant: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Feedback]:
        """The oldest first, without damaged rows."""
        query = _of(_between(select(said), said, since, until), said, trace=trace, tenant=tenant)
        return self._whole(self._pages(query, said, limit), feedback_from)

    def _whole(self, rows: Iterable[RowMapping], read: Callable[[RowMapping], T | None]) -> Iterator[T]:
        for row in rows:
            found = read(row)
            if found is None:
                self.damaged.add(row["id"])
            else:
                yield found

    @property
    def trouble(self) -> Problem | None:
        """E7064 where rows were damaged."""
        if not self.damaged:
            return None
        first = ", ".join(sorted(self.damaged)[:5]) + (", ..." if len(self.damaged) > 5 else "")
        return Problem("E7064", "", {"n": len(self.damaged), "ids": first, "place": self.place})

    def _pages(self, query: Select[Any], table: Table, limit: int | None) -> Iterator[Any]:
        # As it is stored: what is no moment any more has its place in the order too.
        at, id = type_coerce(table.c.at, BigInteger), table.c.id
        query = query.add_columns(at.label("moment"))
        page, left = query.order_by(at, id), limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            with self._told(), self._engines.reading.connect() as connection:
                rows = connection.execute(page.limit(size)).mappings().all()
            yield from rows
            if len(rows) < size:
                return
            last = rows[-1]
            page = query.where(or_(at > last["moment"], and_(at == last["moment"], id > last["id"]))).order_by(at, id)
            left = None if left is None else left - len(rows)

    def new_key(
        self,
        name: str,
        tenant: str = "default",
        scopes: Collection[str] = ("answer", "feedback"),
        labels: Collection[str] | None = (),
        requests_per_minute: int | None = None,
        tokens_per_day: int | None = None,
        expires: datetime | None = None,
    ) -> tuple[Key, str]:
        """A key and its secret, which is nowhere to be had again. Without `labels` it sees what is open to all; with None, everything. Raises UsageError E7056 for what a key cannot have."""
        quota = Quota(requests_per_minute, tokens_per_day)
        with self._told():
            return key_book.make_key(
                self._engines, name, tenant=tenant, scopes=scopes, labels=labels, quota=quota, expires=expires
            )

    def find_key(self, secret: str) -> Key | None:
        """The valid key with this secret; None for every other text, in the same time."""
        with self._told():
            return key_book.find_key(self._engines, secret, datetime.now(UTC))

    def keys(self) -> list[Key]:
        """Every key that was ever made, the oldest first, without damaged ones: see `damaged`. Those let nobody in."""
        with self._told():
            found = key_book.list_keys(self._engines)
        self.damaged |= {id for id, key in found.items() if key is None}
        return [key for key in found.values() if key is not None]

    def revoke_key(self, id: str) -> Key:
        """Raises UsageError E7057 where there is no such key."""
        with self._told():
            return key_book.revoke_key(self._engines, id, datetime.now(UTC))

    def spent(self, key: str, since: datetime) -> int:
        """Tokens, read and written, of the answers that a key (by its id) got since then."""
        with self._told():
            return key_book.spent(self._engines, key, since)

    def prune(self, older_than: datetime, *, look: bool = False) -> Erased:
        """Take out the traces before a moment, with what was said of them. The backup forgets them with its next turn.

        `look`: only count them.
        """
        if look:
            with self._told(), self._engines.reading.connect() as connection:
                return count_old(connection, older_than)
        removed = Erased()
        while True:
            query = select(traces.c.id).where(traces.c.at < older_than).order_by(traces.c.at).limit(_PAGE)
            with self._told(), self._engines.keep() as connection:
                ids = list(connection.execute(query).scalars())
                removed += remove_traces(connection, ids)
            if len(ids) < _PAGE:
                self._shrink()
                return removed

    def erase(
        self, *, contains: str = "", key: str = "", tenant: str | None = None, trace: str = "", look: bool = False
    ) -> Erased:
        """Take one person's traces out, from the backup too: those that hold a text, of a key, or one by its id.

        `contains` is looked for in every text and in feedback, whatever its case and width; several are all needed. Damaged
        rows go too: nobody can tell what they held. Files that were set aside as damaged are named, not changed. `look`: only
        count. Raises DataError E7058 where nobody is named.
        """
        if not (contains.strip() or key or trace):
            raise DataError("E7058")
        path, removed, found = self._engines.path, Erased(), set[str]()
        for page in self._erasable(tenant, key, trace):
            ids = find_person(page, self._said_of(page), contains.strip(), self.fingerprint(contains))
            if look:
                found.update(ids)
                continue
            with self._told(), self._engines.keep() as connection:
                removed += remove_traces(connection, ids)
        if look:
            with self._told(), self._engines.reading.connect() as connection:
                removed = count_traces(connection, found)
        else:
            self._shrink()
            self.back_up()
        return removed + Erased(files=tuple(map(str, set_aside(path))) if path is not None else ())

    def _erasable(self, tenant: str | None, key: str, trace: str) -> Iterator[dict[str, Trace | None]]:
        query = _of(select(traces), traces, tenant=tenant, key=key or None, id=trace or None)
        page: dict[str, Trace | None] = {}
        for row in self._pages(query, traces, None):
            page[row["id"]] = trace_from(row)
            if len(page) == _PAGE:
                yield page
                page = {}
        yield page

    def _said_of(self, page: Collection[str]) -> list[tuple[str, Feedback | None]]:
        query = select(said).where(said.c.trace.in_(page))
        with self._told(), self._engines.reading.connect() as connection:
            return [(row["trace"], feedback_from(row)) for row in connection.execute(query).mappings()]

    def _shrink(self) -> None:
        """Have what was taken out leave SQLite's log too."""
        if self._engines.path is not None:
            with self._engines.turn():
                empty_log(self._engines.path)

    def back_up(self) -> Path | None:
        """Write the backup of a SQLite database anew; None for PostgreSQL, whose backups are its administrator's."""
        path = self._engines.path
        if path is not None:
            with self._saving:
                back_up(path)
        return path

    def back_up_when_due(self) -> bool:
        """The same, once a day."""
        path = self._engines.path
        due = path is not None and backup_due(path, datetime.now(UTC))
        if due:
            self.back_up()
        return due

    def close(self) -> None:
        self._engines.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Traffic:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _told(self) -> AbstractContextManager[None]:
        return told(self._engines.place, self._engines.path)


def _prepared(engines: Engines, path: Path) -> tuple[IO[str], Mended | None]:
    """A SQLite file that is there, sound, of today's form and backed up; and the lock that says it is in use.

    Who comes first looks at it alone; who comes while it is in use leaves it as it is.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("a+", encoding="ascii")
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(lock, fcntl.LOCK_SH)
            with told(engines.place, path):
                upgrade(engines)
            return lock, None
        mended = _look_after(engines, path)
        fcntl.flock(lock, fcntl.LOCK_SH)
    except BaseException:
        lock.close()
        raise
    return lock, mended


def _look_after(engines: Engines, path: Path) -> Mended | None:
    def build() -> None:
        with writing(path):
            # Before SQLite makes it: what people ask is for nobody else on this machine.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with told(engines.place, path):
            upgrade(engines)

    now = datetime.now(UTC)
    with writing(path):
        reason = damage(path) if path.exists() else ""
    mended = mend(path, reason, now, build) if reason else None
    if mended is None:
        build()
    if mended or backup_due(path, now):
        back_up(path)
    return mended


def _salt(engines: Engines) -> bytes:
    """The secret that texts are hashed with, made with the database."""
    with engines.reading.connect() as connection:
        found = connection.execute(select(settings.c.value).where(settings.c.name == _SALT)).scalar()
    if found is None:
        with engines.keep() as connection:
            put(connection, settings, [{"name": _SALT, "value": secrets.token_hex(32)}])
            found = connection.execute(select(settings.c.value).where(settings.c.name == _SALT)).scalar_one()
    return bytes.fromhex(found)


def _between(query: Select[Any], table: Table, since: datetime | None, until: datetime | None) -> Select[Any]:
    if since is not None:
        query = query.where(table.c.at >= since)
    return query if until is None else query.where(table.c.at < until)


def _of(query: Select[Any], table: Table, **wanted: str | None) -> Select[Any]:
    """Only the rows that have these values."""
    for name, value in wanted.items():
        if value is not None:
            query = query.where(table.c[name] == value)
    return query
