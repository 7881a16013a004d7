"""Segments in PostgreSQL put together, and what no version holds any more removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from rung.retrieval.merging import due
from rung.retrieval.population import Part
from rung.retrieval.postgres_segments import Held, insert_postings, mark, read_held, read_lists
from rung.retrieval.postgres_store import Base
from rung.retrieval.postings import merge_postings


def tidy(connection: Connection[Any], base: Base, version: int) -> None:
    """Put segments of the same labels together where they have become many. The version is out by now."""
    while chosen := _due(list(_read(connection, base, version).values())):
        merge(connection, base, version, chosen)


def _due(held: Sequence[Held]) -> list[int]:
    by_access: dict[frozenset[str], list[Held]] = {}
    for segment in held:
        by_access.setdefault(segment.access, []).append(segment)
    for same in by_access.values():
        if empty := [segment.id for segment in same if not segment.alive]:
            return empty
        # `due` asks of a part for its sizes and its graph alone; here one graph leads through all segments.
        parts = [Part(cast(Any, _Sizes(segment.size)), segment.living) for segment in same]
        if chosen := due(parts):
            return [same[n].id for n in chosen]
    return []


class _Sizes:
    dense = None

    def __init__(self, size: int) -> None:
        self.size = size


def merge(connection: Connection[Any], base: Base, version: int, members: Sequence[int]) -> None:
    """Put those of a version's segments together that carry the same labels, with what counts in it alone."""
    by_access: dict[frozenset[str], list[Held]] = {}
    for segment in read_held(connection, base, version, members).values():
        by_access.setdefault(segment.access, []).append(segment)
    for same in by_access.values():
        if len(same) > 1 or same[0].living is not None:
            with connection.transaction():
                _together(connection, base, same, [version])


def _together(connection: Connection[Any], base: Base, same: Sequence[Held], versions: Sequence[int]) -> None:
    """One segment of the items that count in any of the versions, in the place of several in all of them."""
    ids = [segment.id for segment in same]
    connection.execute("DROP TABLE IF EXISTS moved")
    connection.execute(
        base.sql(
            "CREATE TEMPORARY TABLE moved ON COMMIT DROP AS "
            "SELECT i.segment, i.place, (row_number() OVER (ORDER BY i.id) - 1)::int AS fresh FROM {items} i "
            "WHERE i.segment = ANY({ids}) AND NOT {dead_in_all}",
            ids=ids,
            dead_in_all=_dead_in_all(base, versions),
        )
    )
    rows = connection.execute("SELECT segment, place, fresh FROM moved", binary=True).fetchall()
    members = []
    if rows:
        places = {segment.id: np.full(segment.size, -1, np.int32) for segment in same}
        for segment, place, fresh in rows:
            places[segment][place] = fresh
        lists = [of.postings for of in read_lists(connection, base, same)]
        postings = merge_postings(lists, [places[id] for id in ids], len(rows))
        access = sorted(mark(label) for label in same[0].access)
        new = insert_postings(connection, base, access, postings)
        _move(connection, base, new)
        members = [new]
    connection.execute(
        "UPDATE rung.versions SET members = ARRAY(SELECT unnest(members) EXCEPT SELECT unnest(%(ids)s::int[])) || %(new)s "
        "WHERE base = %(base)s AND number = ANY(%(versions)s) AND members && %(ids)s::int[]",
        {"ids": ids, "new": members, "base": base.number, "versions": list(versions)},
    )


def _dead_in_all(base: Base, versions: Sequence[int]) -> Any:
    """Of an item i: whether it counts in none of the versions."""
    each = [
        base.sql(
            "EXISTS (SELECT FROM {dead} d WHERE (d.segment, d.place) = (i.segment, i.place) "
            "AND d.since <= {version} AND (d.until IS NULL OR d.until > {version}))",
            version=version,
        )
        for version in versions
    ]
    return SQL("({})").format(SQL(" AND ").join(each))


def _move(connection: Connection[Any], base: Base, new: int) -> None:
    """What the table `moved` names, copied within the database into a new segment."""
    copied = [
        "INSERT INTO {items} SELECT %(new)s, m.fresh, i.id, i.text_hash, i.line, i.marks "
        "FROM {items} i JOIN moved m USING (segment, place)",
        "INSERT INTO {documents} SELECT %(new)s, h.document, h.digest, array_agg(m.fresh ORDER BY m.fresh) "
        "FROM {documents} h, unnest(h.places) AS at(place), moved m "
        "WHERE m.segment = h.segment AND m.place = at.place GROUP BY h.document, h.digest",
        "INSERT INTO {dead} SELECT %(new)s, m.fresh, d.since, d.until FROM {dead} d JOIN moved m USING (segment, place)",
    ]
    if base.dimensions:
        copied.append(
            "INSERT INTO {vectors} SELECT %(new)s, m.fresh, v.vector FROM {vectors} v JOIN moved m USING (segment, place)"
        )
    for statement in copied:
        connection.execute(base.sql(statement), {"new": new})


def prune(connection: Connection[Any], base: Base, kept: Sequence[int]) -> None:
    """Leave nothing that is in none of the kept versions, and ask the server to free the room."""
    with connection.transaction():
        connection.execute(
            "DELETE FROM rung.versions WHERE base = %s AND NOT number = ANY(%s)", (base.number, list(kept))
        )
        for segment in _worn(connection, base, kept):
            _together(connection, base, [segment], kept)
        used = "SELECT unnest(members) FROM rung.versions WHERE base = %(base)s"
        given = {"base": base.number}
        tables = ["items", "lists", "documents", "dead", *(["vectors"] if base.dimensions else [])]
        for table in tables:
            connection.execute(base.sql(f"DELETE FROM {{{table}}} WHERE NOT segment = ANY(ARRAY({used}))"), given)
        connection.execute(f"DELETE FROM rung.segments WHERE base = %(base)s AND NOT id = ANY(ARRAY({used}))", given)
        if base.dimensions:
            connection.execute(base.sql("DELETE FROM {pending}"))
    for table in tables:
        connection.execute(SQL("VACUUM {}").format(Identifier("rung", f"{table}_{base.number}")))


def _worn(connection: Connection[Any], base: Base, kept: Sequence[int]) -> list[Held]:
    """Segments with items that count in none of the versions."""
    rows = connection.execute(
        base.sql(
            "SELECT DISTINCT i.segment FROM {items} i JOIN rung.versions v ON i.segment = ANY(v.members) "
            "WHERE v.base = {base} AND {dead_in_all}",
            base=base.number,
            dead_in_all=_dead_in_all(base, kept),
        )
    ).fetchall()
    found = read_held(connection, base, kept[-1], [segment for (segment,) in rows])
    return list(found.values())


def _read(connection: Connection[Any], base: Base, version: int) -> dict[int, Held]:
    rows = connection.execute(
        "SELECT unnest(members) FROM rung.versions WHERE base = %s AND number = %s", (base.number, version)
    ).fetchall()
    return read_held(connection, base, version, [member for (member,) in rows])
