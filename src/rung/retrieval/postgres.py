"""The index in PostgreSQL: what a folder finds, in the same order with the same scores, for many machines at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from rung.core.answer import Hit, Item, Where
from rung.core.errors import BackendError, DataError
from rung.core.model import Encoder
from rung.retrieval.asking import asked_of
from rung.retrieval.best_terms import Mask
from rung.retrieval.dense import same_length, unit_vectors
from rung.retrieval.hybrid import DEPTH, Ranking, best_of, fuse
from rung.retrieval.lending import PINNED
from rung.retrieval.population import Part, Population
from rung.retrieval.postgres_base import PostgresBase
from rung.retrieval.postgres_dense import Narrowed, nearest
from rung.retrieval.postgres_segments import Held, binary, filter_of, read_held, read_lists, visible_ids
from rung.retrieval.postgres_store import Base, connect, find_base, told
from rung.retrieval.publish import unsealed
from rung.retrieval.segment import Contents, in_order
from rung.text.tokens import search_tokens

T = TypeVar("T")
_Place = tuple[int, int]
"""Segment and place in it."""


def build_base(items: Sequence[Item], *, encoder: Encoder | None, indexes: Path, kind: str) -> str:
    """Put items into the store under the hash of what they are, unless they are there; `<hash>@<version>`.

    `indexes` is not used: the store lies where RUNG_POSTGRES says. Raises as `PostgresBase.update_items` does.
    """
    ordered = in_order(items, kind)
    base = PostgresBase(Contents(ordered, kind, encoder.id if encoder else "").name)
    return f"{base.name}@{base.update_items(ordered, encoder, kind=kind).version}"


class PostgresIndex:
    """A version of a base, opened; `id` is `<name>@<version>`, and what it finds stays the same whatever becomes of the base.

    `folder`: its last name is the base's; where a run was lent a version, a note of it lies there. Items that a caller may not see do not leave the database: every statement is
    narrowed to segments the caller may see, which hold items of one set of labels each. Safe to search from several threads,
    one at a time on its one connection, which is made again when it was lost.
    """

    def __init__(
        self,
        folder: Path | str,
        encoder: Encoder | None = None,
        version: int | None = None,
        *,
        address: str | None = None,
    ) -> None:
        """Without `version` the current one; `address`: that of RUNG_POSTGRES when absent.

        Raises DataError E2702 where there is no such base, E2704 when another encoder made it, E2706 for another format,
        E2712 for a version that it has not; UsageError E2780, E2781; BackendError E2782, E2783, E2784.
        """
        name = Path(folder).name
        if version is None and (Path(folder) / PINNED).is_file():
            version = unsealed(Path(folder) / PINNED)["version"]
        self._address = address
        self._encoder = encoder
        self._lock = threading.RLock()
        self._held: dict[int, Held] = {}
        self._connection = connect(address, reading=True)
        base = self._read(lambda connection: find_base(connection, name))
        if base is None or not base.current:
            raise DataError("E2702", f"postgres:{name}")
        if encoder is not None and base.encoder and encoder.id != base.encoder:
            raise DataError("E2704", f"postgres:{name}", index=base.encoder, encoder=encoder.id)
        self._base = base
        self._version = base.current if version is None else version
        self._read(self._members)
        self.id = f"{name}@{self._version}"
        self.kind = base.kind

    build = staticmethod(build_base)
    base = PostgresBase
    """What keeps one up to date, by its name."""

    def close(self) -> None:
        """Give the connection back; the next search makes a new one."""
        self._connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self.close()

    @property
    def made_by(self) -> str:
        """Id of the encoder that made the vectors; "" where there are none."""
        return self._base.encoder

    def current(self) -> int:
        """The version that is served now, which may be another one than this."""

        def read(connection: Connection[Any]) -> int:
            row = connection.execute("SELECT current FROM rung.bases WHERE id = %s", (self._base.number,)).fetchone()
            return int(row[0]) if row else 0

        return self._read(read)

    @property
    def items(self) -> tuple[Item, ...]:
        """Every item in the order of their ids."""

        def read(connection: Connection[Any]) -> dict[_Place, Item]:
            places = [
                (segment.id, place)
                for segment in self._segments(connection, None)
                for place in range(segment.size)
                if segment.living is None or segment.living[place]
            ]
            return self._read_items(connection, places)

        return tuple(sorted(self._read(read).values(), key=lambda item: item.id))

    def __len__(self) -> int:
        return sum(segment.alive for segment in self._read(lambda connection: self._segments(connection, None)))

    def search(
        self,
        queries: Sequence[str],
        k: int,
        *,
        mode: str = "rrf",
        exclude: Sequence[frozenset[str]] | None = None,
        seen_by: frozenset[str] | None = None,
        where: Where | None = None,
    ) -> list[list[Hit]]:
        """As `Index.search`. Raises also BackendError E2782, E2784; DataError E2712 when the version has been pruned."""
        asked = asked_of(queries, k, mode, exclude)
        if not asked:
            return [[] for _ in queries]
        vectors = self._encoded([queries[n] for n in asked]) if mode != "lexical" else None

        def read(connection: Connection[Any]) -> dict[int, list[Hit]]:
            sight = _Sight(connection, self._base, self._version, self._segments(connection, seen_by), where)
            if mode != "dense":
                sight.look_up([queries[n] for n in asked])
            out = sight.positions(frozenset().union(*asked.values()))
            depth = max(k, DEPTH) if mode == "rrf" else k
            best: dict[int, Ranking] = {}
            for row, (n, hidden) in enumerate(asked.items()):
                gone = [out[name] for name in hidden if name in out]
                lists = [] if mode == "dense" else [sight.by_terms(queries[n], depth + len(gone))]
                if vectors is not None:
                    lists.append(sight.by_meaning(vectors[row], depth + len(gone)))
                rankings = [sight.ranked(each, depth, gone) for each in lists]
                best[n] = sight.fused(rankings, k) if mode == "rrf" else rankings[0]
            places = {n: sight.located(ranking.positions) for n, ranking in best.items()}
            items = self._read_items(connection, [place for each in places.values() for place in each])
            return {
                n: [
                    Hit(items[place], float(np.float32(score)))
                    for place, score in zip(places[n], ranking.scores.tolist(), strict=True)
                ]
                for n, ranking in best.items()
            }

        found = self._read(read)
        return [found.get(n, []) for n in range(len(queries))]

    def _encoded(self, queries: Sequence[str]) -> NDArray[np.float32]:
        if not self._base.encoder or self._encoder is None:
            raise DataError("E2705", index=self.id)
        vectors = unit_vectors(self._encoder, queries)
        same_length(self._encoder, vectors, self._base.dimensions)
        return vectors

    def _read(self, work: Callable[[Connection[Any]], T]) -> T:
        """Do it within one moment of the store; once more on a new connection where the last was lost."""
        with self._lock:
            for attempt in range(2):
                try:
                    with told(self._connection), self._connection.transaction():
                        return work(self._connection)
                except BackendError as error:
                    if error.code != "E2782" or attempt:
                        raise
                    self._connection.close()
                    self._connection = connect(self._address, reading=True)
        raise AssertionError("unreachable")

    def _members(self, connection: Connection[Any]) -> list[int]:
        row = connection.execute(
            "SELECT members FROM rung.versions WHERE base = %s AND number = %s", (self._base.number, self._version)
        ).fetchone()
        if row is None:
            known = connection.execute(
                "SELECT number FROM rung.versions WHERE base = %s ORDER BY 1", (self._base.number,)
            )
            listed = ", ".join(str(number) for (number,) in known)
            raise DataError("E2712", f"postgres:{self._base.name}", version=self._version, known=listed)
        members: list[int] = row[0]
        return members

    def _segments(self, connection: Connection[Any], labels: frozenset[str] | None) -> list[Held]:
        """What the caller may see, with the lengths of its items, which never change and are read once."""
        members = self._members(connection)
        ids = visible_ids(connection, members, labels)
        missing = [id for id in ids if id not in self._held]
        if missing:
            self._held = {id: held for id, held in self._held.items() if id in members}
            self._held |= read_held(connection, self._base, self._version, missing)
        return [self._held[id] for id in ids]

    def _read_items(self, connection: Connection[Any], places: Sequence[_Place]) -> dict[_Place, Item]:
        rows = connection.execute(
            self._base.sql(
                "SELECT segment, place, line FROM {items} JOIN unnest(%s::int[], %s::int[]) AS at(segment, place) "
                "USING (segment, place)"
            ),
            ([segment for segment, _ in places], [place for _, place in places]),
        )
        return {(segment, place): Item(**json.loads(line)) for segment, place, line in rows}


class _Sight:
    """What one caller sees of a version in one transaction. Items are numbered through its segments: positions."""

    def __init__(
        self, connection: Connection[Any], base: Base, version: int, segments: Sequence[Held], where: Where | None
    ) -> None:
        self._connection, self._base = connection, base
        self._segments = [segment for segment in segments if segment.alive]
        self._ids = [segment.id for segment in self._segments]
        self._firsts = np.cumsum([0, *(segment.size for segment in self._segments)])
        self._marks = filter_of(where) if where else []
        self._filters = self._read_filters()
        self._size = sum(segment.alive for segment in self._segments)
        self._narrowed = Narrowed(version, self._ids, self._marks, self._size)
        self._population = Population(())
        self._names: dict[int, bytes] = {}

    def _read_filters(self) -> list[Mask | None]:
        if not self._marks:
            return [None] * len(self._segments)
        masks = {segment.id: np.zeros(segment.size, np.bool_) for segment in self._segments}
        carried = " ".join("AND marks && %s" for _ in self._marks)
        rows = self._connection.execute(
            self._base.sql(
                f"SELECT segment, array_agg(place) FROM {{items}} WHERE segment = ANY(%s) {carried} GROUP BY segment"
            ),
            (self._ids, *self._marks),
            binary=True,
        )
        for segment, places in rows:
            masks[segment][places] = True
        return [masks[segment.id] for segment in self._segments]

    def look_up(self, queries: Sequence[str]) -> None:
        """Fetch what the queries' words need."""
        terms = list(dict.fromkeys(term for query in queries for term in search_tokens(query)))
        lists = read_lists(self._connection, self._base, self._segments, terms)
        pairs = zip(lists, self._segments, strict=True)
        self._population = Population(tuple(Part(cast(Any, of), segment.living) for of, segment in pairs))

    def by_terms(self, query: str, k: int) -> list[Ranking]:
        found = self._population.best_by_terms(query, k, self._filters)
        return [Ranking(each.places + first, each.scores) for first, each in zip(self._firsts, found, strict=False)]

    def by_meaning(self, query: NDArray[np.float32], k: int) -> list[Ranking]:
        if not self._size:
            return []
        near = nearest(self._connection, self._base, query, k, self._narrowed)
        firsts = np.array([self._firsts[self._ids.index(segment)] for segment in near.segments.tolist()], np.int64)
        return [Ranking(near.places + firsts, near.scores)]

    def ranked(self, lists: Sequence[Ranking], k: int, out: Sequence[int]) -> Ranking:
        """Lists put together, without some positions; the lower id wins a tie."""
        if not lists:
            return Ranking(np.zeros(0, np.int64), np.zeros(0))
        best = best_of(lists, k + len(out))
        kept = ~np.isin(best.positions, out)
        positions, scores = best.positions[kept], best.scores[kept]
        order = np.lexsort((self._by_id(positions), -scores))[:k]
        return Ranking(positions[order], scores[order])

    def fused(self, rankings: Sequence[Ranking], k: int) -> Ranking:
        positions = np.unique(np.concatenate([ranking.positions for ranking in rankings]))
        by_id = self._by_id(positions)
        in_order = positions[np.argsort(by_id)]
        numbered = [Ranking(by_id[np.searchsorted(positions, r.positions)], r.scores) for r in rankings]
        best = fuse(numbered, k)
        return Ranking(in_order[best.positions], best.scores)

    def positions(self, ids: frozenset[str]) -> dict[str, int]:
        """Where the items of these ids stand, of those that are seen."""
        if not ids:
            return {}
        rows = self._connection.execute(
            self._base.sql("SELECT id, segment, place FROM {items} WHERE id = ANY(%s) AND segment = ANY(%s)"),
            ([binary(name) for name in ids], self._ids),
            binary=True,
        )
        return {
            name.decode("utf-8", "surrogatepass"): int(self._firsts[self._ids.index(segment)]) + place
            for name, segment, place in rows
        }

    def located(self, positions: NDArray[np.int64]) -> list[_Place]:
        parts = np.searchsorted(self._firsts, positions, "right") - 1
        places = (positions - self._firsts[parts]).tolist()
        return [(self._ids[part], place) for part, place in zip(parts.tolist(), places, strict=True)]

    def _by_id(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [n]: for every position its rank by id among these."""
        if len(self._segments) <= 1:
            # A segment's items stand in the order of their ids.
            keys: list[Any] = positions.tolist()
        else:
            self._read_names(positions)
            keys = [self._names[position] for position in positions.tolist()]
        ranks = np.empty(positions.size, np.int64)
        ranks[np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)] = np.arange(positions.size)
        return ranks

    def _read_names(self, positions: NDArray[np.int64]) -> None:
        missing = [position for position in positions.tolist() if position not in self._names]
        if not missing:
            return
        places = dict(zip(self.located(np.array(missing, np.int64)), missing, strict=True))
        rows = self._connection.execute(
            self._base.sql(
                "SELECT segment, place, id FROM {items} JOIN unnest(%s::int[], %s::int[]) AS at(segment, place) "
                "USING (segment, place)"
            ),
            ([segment for segment, _ in places], [place for _, place in places]),
            binary=True,
        )
        self._names |= {places[segment, place]: name for segment, place, name in rows}
