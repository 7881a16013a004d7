"""A knowledge base in PostgreSQL: documents that come, change and go, in versions that are published whole and can be taken back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg import Connection

from rung.core.answer import Item
from rung.core.errors import DataError
from rung.core.model import Encoder
from rung.core.task import Document
from rung.retrieval.base import RECIPE, Change
from rung.retrieval.embedding import Progress
from rung.retrieval.holdings import Coming, coming_documents, coming_items, difference
from rung.retrieval.postgres_dense import build_graph
from rung.retrieval.postgres_merging import merge, prune, tidy
from rung.retrieval.postgres_segments import DEAD, binary, insert_segment
from rung.retrieval.postgres_store import Base, connect, find_base, told, writing
from rung.retrieval.postgres_vectors import Making, forget_pending, make_ready
from rung.retrieval.segment import in_order
from rung.retrieval.versions import Member, Version

if TYPE_CHECKING:
    from rung.retrieval.postgres import PostgresIndex


class PostgresBase:
    """A base of the store by its name, with the methods of `KnowledgeBase`. Writers of one base wait for each other; readers,
    who open `PostgresIndex(name)`, never wait.

    Whatever stops a writer, the current version stays what it was, and the same call finishes the work.
    """

    def __init__(self, name: str, *, address: str | None = None) -> None:
        """`address`: that of RUNG_POSTGRES when absent. Nothing is connected yet."""
        self.name = name
        self._address = address

    def open(self, encoder: Encoder | None = None, version: int | None = None) -> PostgresIndex:
        """The current version, or another one, to search in."""
        from rung.retrieval.postgres import PostgresIndex

        return PostgresIndex(self.name, encoder, version, address=self._address)

    def update(
        self,
        documents: Iterable[Document],
        encoder: Encoder | None,
        *,
        recipe: Mapping[str, int] | None = None,
        remove_others: bool = False,
        progress: Progress | None = None,
    ) -> Change:
        """Take documents in, as `KnowledgeBase.update` does.

        Raises DataError E2700, E2704, E2713, E2701, BackendError E3205, E2782, E2783, E2784, UsageError E2780, E2781.
        """
        with self._writing() as (connection, base):
            given = recipe or (json.loads(base.recipe) if base else None) or RECIPE
            how = {name: given[name] for name in RECIPE}
            coming = coming_documents(documents, how)
            making = Making("passages", encoder, json.dumps(how), progress)
            return self._change(connection, base, coming, making, remove_others)

    def update_items(
        self,
        items: Iterable[Item],
        encoder: Encoder | None,
        *,
        kind: str = "items",
        remove_others: bool = False,
        progress: Progress | None = None,
    ) -> Change:
        """The same with items that are not cut, such as solved examples. Items of one document come and go with it. Raises as `update` does."""
        with self._writing() as (connection, base):
            coming = coming_items(items)
            return self._change(connection, base, coming, Making(kind, encoder, "{}", progress), remove_others)

    def delete(self, ids: Iterable[str]) -> Change:
        """Take documents out: the new version does not find them. Their text is in the database until `prune`."""
        names = list(dict.fromkeys(ids))
        with self._writing() as (connection, found):
            base = self._there(found)
            held = _held(connection, base, names)
            gone = [name for name in names if name in held]
            unknown = tuple(name for name in names if name not in held)
            if not gone:
                return Change(base.current, unknown=unknown)
            with connection.transaction():
                number = _begin(connection, base)
                _bury(connection, base, number, gone)
                _publish(connection, base, number, _members(connection, base), {"deleted": len(gone)})
            tidy(connection, base, number)
            return Change(number, deleted=len(gone), unknown=unknown)

    def claim(self) -> None:
        """Nothing: a name in the store is free, or that of a base."""

    def made_by(self) -> str:
        """Id of the encoder that made it, "" where it has no vectors. Raises DataError E2702."""
        return self._read().encoder

    def current(self) -> int:
        """The version that is served. Raises DataError E2702."""
        return self._read().current

    def _read(self) -> Base:
        with connect(self._address, reading=True) as connection, told(connection):
            return self._there(find_base(connection, self.name))

    def versions(self) -> list[Version]:
        """All that can be opened, the oldest first. Raises DataError E2702."""
        with connect(self._address) as connection, told(connection):
            base = self._there(find_base(connection, self.name))
            rows = connection.execute(
                "SELECT number, members, items, documents, change, made AT TIME ZONE 'UTC' FROM rung.versions "
                "WHERE base = %s ORDER BY number",
                (base.number,),
            )
            return [
                Version(
                    number=number,
                    kind=base.kind,
                    encoder=base.encoder,
                    members=tuple(Member(str(member)) for member in members),
                    items=items,
                    documents=documents,
                    recipe=json.loads(base.recipe),
                    change=json.loads(change),
                    when=f"{made:%Y-%m-%dT%H:%M:%SZ}",
                )
                for number, members, items, documents, change, made in rows
            ]

    def rollback(self, to: int | None = None) -> Version:
        """Serve an earlier version again; without a number the one before the current. Raises DataError E2712, E2716."""
        with self._writing() as (connection, found):
            base = self._there(found)
            known = _numbers(connection, base)
            if to is None:
                before = [number for number in known if number < base.current]
                if not before:
                    raise DataError("E2716", f"postgres:{self.name}", version=base.current)
                to = before[-1]
            if to not in known:
                listed = ", ".join(map(str, known))
                raise DataError("E2712", f"postgres:{self.name}", version=to, known=listed)
            connection.execute("UPDATE rung.bases SET current = %s WHERE id = %s", (to, base.number))
        return next(version for version in self.versions() if version.number == to)

    def compact(self) -> Version:
        """Put all segments of the current version together, by labels; what it holds, and its number, stay the same."""
        with self._writing() as (connection, found):
            base = self._there(found)
            merge(connection, base, base.current, _members(connection, base))
        return next(version for version in self.versions() if version.number == base.current)

    def prune(self, keep: int = 1) -> list[int]:
        """Keep the current version and the `keep - 1` before it; the numbers of those removed.

        No text of a document that none of them holds is left in the tables; the server is asked to free their room.
        """
        if keep < 1:
            raise ValueError(f"keep={keep}: the current version is always kept")
        with self._writing() as (connection, found):
            base = self._there(found)
            known = _numbers(connection, base)
            kept = [number for number in known if number <= base.current][-keep:]
            prune(connection, base, kept)
            return [number for number in known if number not in kept]

    def _change(
        self,
        connection: Connection[Any],
        base: Base | None,
        coming: Mapping[str, Coming],
        making: Making,
        remove_others: bool,
    ) -> Change:
        begun = base is not None and bool(base.current)
        if base and begun:
            self._same_making(base, making)
        held = _held(connection, base, list(coming)) if base and begun else {}
        others = [name for name in _held(connection, base) if name not in coming] if remove_others and base else []
        change = difference(coming, held, others)
        if not begun and not change.items:
            raise DataError("E2701", kind=making.kind)
        if base and begun and not change.items and not change.gone:
            return Change.of(base.current, change)
        ordered = in_order(change.items, making.kind) if change.items else []
        made = make_ready(connection, base, self.name, making, [item.text for item in ordered])
        base = made.base
        with connection.transaction():
            number = _begin(connection, base)
            _bury(connection, base, number, change.replaced)
            members = _members(connection, base) if begun else []
            digests = {name: str(digest) for name, digest in change.digests.items()}
            for places in _by_access(ordered):
                items = [ordered[place] for place in places]
                vectors = None
                if making.encoder is not None:
                    vectors = np.stack([made.vectors[item.text] for item in items])
                members.append(insert_segment(connection, base, items, digests, vectors))
            forget_pending(connection, base)
            _publish(connection, base, number, members, change.counts)
        tidy(connection, base, number)
        build_graph(connection, base)
        return Change.of(number, change, made.encoded)

    def _same_making(self, base: Base, making: Making) -> None:
        where = f"postgres:{self.name}"
        if making.made_by != base.encoder:
            raise DataError("E2704", where, index=base.encoder or "-", encoder=making.made_by or "-")
        if json.loads(making.recipe) != json.loads(base.recipe):
            raise DataError("E2713", where, found=json.loads(base.recipe), given=json.loads(making.recipe))

    def _there(self, base: Base | None) -> Base:
        if base is None or not base.current:
            raise DataError("E2702", f"postgres:{self.name}")
        return base

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection[Any], Base | None]]:
        with connect(self._address) as connection, told(connection), writing(connection, self.name):
            yield connection, find_base(connection, self.name)


def _by_access(items: Sequence[Item]) -> list[list[int]]:
    """Places of items that carry the same labels, in their order."""
    found: dict[frozenset[str], list[int]] = {}
    for place, item in enumerate(items):
        found.setdefault(frozenset(item.payload.get("access", ())), []).append(place)
    return list(found.values())


def _held(connection: Connection[Any], base: Base, names: Sequence[str] | None = None) -> dict[str, int]:
    """Of these documents, or of all, those that the current version holds, with their digests."""
    only = "" if names is None else "AND h.document = ANY(%(names)s)"
    rows = connection.execute(
        base.sql(
            "SELECT h.document, h.digest FROM {documents} h JOIN rung.versions v ON h.segment = ANY(v.members) "
            f"WHERE v.base = %(base)s AND v.number = %(version)s {only} AND NOT EXISTS "
            f"(SELECT FROM {{dead}} d WHERE (d.segment, d.place) = (h.segment, h.places[1]) AND {DEAD})"
        ),
        {"base": base.number, "version": base.current, "names": [binary(name) for name in names or ()]},
        binary=True,
    )
    return {name.decode("utf-8", "surrogatepass"): int(digest) for name, digest in rows}


def _numbers(connection: Connection[Any], base: Base) -> list[int]:
    rows = connection.execute("SELECT number FROM rung.versions WHERE base = %s ORDER BY number", (base.number,))
    return [number for (number,) in rows]


def _members(connection: Connection[Any], base: Base) -> list[int]:
    row = connection.execute(
        "SELECT members FROM rung.versions WHERE base = %s AND number = %s", (base.number, base.current)
    ).fetchone()
    assert row is not None
    members: list[int] = row[0]
    return members


def _begin(connection: Connection[Any], base: Base) -> int:
    """The number of the next version, which begins with what counts in the current one.

    A row of {dead} holds for versions `since` to before `until`, and for those to come where `until` is empty. After a
    rollback these are not those of the current version.
    """
    number = base.highest + 1
    if base.current < base.highest:
        given = {"version": base.current, "number": number}
        again = base.sql(
            "INSERT INTO {dead} SELECT DISTINCT segment, place, %(number)s, NULL::int FROM {dead} "
            "WHERE since <= %(version)s AND until > %(version)s"
        )
        over = base.sql("UPDATE {dead} SET until = %(number)s WHERE since > %(version)s AND until IS NULL")
        connection.execute(over, given)
        connection.execute(again, given)
    return number


def _bury(connection: Connection[Any], base: Base, number: int, names: Sequence[str]) -> None:
    """From version `number` on, the items of these documents do not count."""
    connection.execute(
        base.sql(
            "INSERT INTO {dead} SELECT h.segment, at.place, %(number)s, NULL::int FROM {documents} h "
            "JOIN rung.versions v ON h.segment = ANY(v.members), unnest(h.places) AS at(place) "
            "WHERE v.base = %(base)s AND v.number = %(version)s AND h.document = ANY(%(names)s) AND NOT EXISTS "
            f"(SELECT FROM {{dead}} d WHERE (d.segment, d.place) = (h.segment, at.place) AND {DEAD})"
        ),
        {"number": number, "base": base.number, "version": base.current, "names": [binary(name) for name in names]},
    )


def _publish(
    connection: Connection[Any], base: Base, number: int, members: Sequence[int], change: Mapping[str, int]
) -> None:
    """Make version `number` of these segments the one that is served."""
    given = {"base": base.number, "version": number, "members": list(members)}
    counted = connection.execute(
        base.sql(
            "SELECT (SELECT coalesce(sum(size), 0) FROM rung.segments WHERE id = ANY(%(members)s)) - "
            f"(SELECT count(*) FROM {{dead}} d WHERE d.segment = ANY(%(members)s) AND {DEAD}), "
            "(SELECT count(*) FROM {documents} h WHERE h.segment = ANY(%(members)s) AND NOT EXISTS "
            f"(SELECT FROM {{dead}} d WHERE (d.segment, d.place) = (h.segment, h.places[1]) AND {DEAD}))"
        ),
        given,
    ).fetchone()
    assert counted is not None
    record = json.dumps({"added": 0, "changed": 0, "deleted": 0} | dict(change))
    connection.execute(
        "INSERT INTO rung.versions (base, number, members, items, documents, change) VALUES (%s, %s, %s, %s, %s, %s)",
        (base.number, number, list(members), *counted, record),
    )
    connection.execute("UPDATE rung.bases SET current = %s, highest = %s WHERE id = %s", (number, number, base.number))
