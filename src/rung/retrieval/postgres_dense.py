"""Vectors in PostgreSQL: the nearest by pgvector, all compared or led to by a graph, and scored exactly as in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg.sql import SQL, Composable

from rung.retrieval.dense import Dense
from rung.retrieval.graph import GRAPH_FROM
from rung.retrieval.postgres_segments import DEAD
from rung.retrieval.postgres_store import Base

_MORE = 16
"""Vectors that are fetched beyond those asked for: the database compares in float32, and a graph in half of that."""
_WIDTH = 128
_WIDEST = 1000
"""What pgvector allows."""
_GRAPH_DIMENSIONS = 4000
"""As many as pgvector can build a graph of."""
_LINKS, _WIDTH_BUILDING = 16, 128
_BUILDING_MEMORY = "1GB"


@dataclass(frozen=True)
class Narrowed:
    """Which vectors count: those of `segments` in `version` whose items carry one mark of every list of `marks`."""

    version: int
    segments: Sequence[int]
    marks: Sequence[Sequence[str]]
    size: int
    """How many these are, at most."""


@dataclass(frozen=True)
class Near:
    """Items, best first: the number of the segment, the place in it, and the cosine to six decimals."""

    segments: NDArray[np.int64]
    places: NDArray[np.int64]
    scores: NDArray[np.float64]


def nearest(connection: Connection[Any], base: Base, query: NDArray[np.float32], k: int, of: Narrowed) -> Near:
    """The k vectors nearest to a query."""
    if of.size > GRAPH_FROM and has_graph(connection, base):
        connection.execute("SELECT set_config('hnsw.iterative_scan', 'strict_order', true)")
        width = min(_WIDEST, max(_WIDTH, 2 * k))
        connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", (str(width),))
        compared = base.sql("v.vector::halfvec({dimensions}) <=> %(query)s::vector::halfvec({dimensions})")
        found = _fetched(connection, base, query, k, of, compared)
        if found.scores.size >= min(k, of.size):
            return found
    # Written so that no graph fits it.
    return _fetched(connection, base, query, k, of, SQL("(v.vector <=> %(query)s::vector)"))


def _fetched(
    connection: Connection[Any], base: Base, query: NDArray[np.float32], k: int, of: Narrowed, compared: Composable
) -> Near:
    carried = " ".join(f"AND i.marks && %(marks{n})s" for n in range(len(of.marks)))
    marked = f"AND EXISTS (SELECT FROM {{items}} i WHERE (i.segment, i.place) = (v.segment, v.place) {carried})"
    statement = base.sql(
        "SELECT v.segment, v.place, v.vector FROM {vectors} v WHERE v.segment = ANY(%(ids)s) "
        f"AND NOT EXISTS (SELECT FROM {{dead}} d WHERE (d.segment, d.place) = (v.segment, v.place) AND {DEAD}) "
        f"{marked if of.marks else ''} ORDER BY {{compared}} LIMIT %(count)s",
        compared=compared,
    )
    given: dict[str, Any] = {"ids": list(of.segments), "version": of.version, "query": query, "count": k + _MORE}
    given |= {f"marks{n}": list(marks) for n, marks in enumerate(of.marks)}
    rows = connection.execute(statement, given, binary=True).fetchall()
    # In the order of their places, which is that of their ids within a segment, as ties go by it.
    rows.sort(key=lambda row: (row[0], row[1]))
    if not rows:
        return Near(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    best = Dense(np.stack([row[2].to_numpy() for row in rows])).best(query, k, None)
    where = np.array([row[:2] for row in rows], np.int64)[best.places]
    return Near(where[:, 0], where[:, 1], best.scores)


def has_graph(connection: Connection[Any], base: Base) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"rung.graph_{base.number}",)).fetchone()
    return bool(row and row[0])


def build_graph(connection: Connection[Any], base: Base) -> None:
    """A graph through a base's vectors, once they are many; it grows with them from then on. Readers never wait."""
    if not 0 < base.dimensions <= _GRAPH_DIMENSIONS or has_graph(connection, base):
        return
    row = connection.execute(base.sql("SELECT count(*) FROM {vectors}")).fetchone()
    if not row or row[0] < GRAPH_FROM:
        return
    with connection.transaction():
        connection.execute("SELECT set_config('maintenance_work_mem', %s, true)", (_BUILDING_MEMORY,))
        connection.execute(
            base.sql(
                f"CREATE INDEX graph_{base.number} ON {{vectors}} USING hnsw "
                "((vector::halfvec({dimensions})) halfvec_cosine_ops) "
                f"WITH (m = {_LINKS}, ef_construction = {_WIDTH_BUILDING})"
            )
        )
