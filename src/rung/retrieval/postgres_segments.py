"""Segments in PostgreSQL: items that carry the same access labels, with posting lists as arrays and vectors as rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from rung.core.answer import Item, Where
from rung.retrieval.best_terms import Mask, Workspace
from rung.retrieval.names import Lookup, Strings
from rung.retrieval.postgres_store import Base
from rung.retrieval.postings import Postings, build_postings
from rung.retrieval.segment import document_of

DEAD = "d.since <= %(version)s AND (d.until IS NULL OR d.until > %(version)s)"
"""What a row d of {dead} must meet for its item not to count in a version."""


@dataclass(frozen=True)
class Held:
    """A segment as a version sees it. `living`: which of its items count; None: all of them."""

    id: int
    access: frozenset[str]
    lengths: NDArray[np.int32]
    """Terms of every item."""
    living: Mask | None
    workspace: Workspace

    @property
    def size(self) -> int:
        return self.lengths.size

    @property
    def alive(self) -> int:
        return self.size if self.living is None else int(np.count_nonzero(self.living))


@dataclass(frozen=True)
class Asked:
    """A segment with the posting lists of some terms: all that a search by words looks at."""

    postings: Postings
    workspace: Workspace

    @property
    def size(self) -> int:
        return self.postings.lengths.size


def binary(text: str) -> bytes:
    """A text of any kind as the database keeps it: its own strings can hold neither NUL nor half a character."""
    return text.encode("utf-8", "surrogatepass")


def mark(*said: str) -> str:
    """A label, or a key and its value, as plain letters."""
    return json.dumps(said)


def text_hash(text: str) -> bytes:
    return hashlib.sha256(binary(text)).digest()


def line_of(item: Item) -> str:
    """An item as JSON."""
    row = {"id": item.id, "text": item.text, "payload": item.payload}
    line = json.dumps(row, ensure_ascii=False, default=dict)
    try:
        line.encode()
    except UnicodeEncodeError:
        # Half a character; escaped throughout only then, since Chinese would take twice the room.
        return json.dumps(row, default=dict)
    return line


def marks_of(item: Item) -> list[str]:
    return [mark(key, value) for key, value in (item.payload.get("metadata") or {}).items()]


def filter_of(where: Where) -> list[list[str]]:
    """For every key the marks of which an item must carry one."""
    return [
        [mark(key, value) for value in ([named] if isinstance(named, str) else named)] for key, named in where.items()
    ]


def insert_segment(
    connection: Connection[Any],
    base: Base,
    items: Sequence[Item],
    digests: Mapping[str, str],
    vectors: NDArray[np.float32] | None,
) -> int:
    """A new segment of items that stand in the order of their ids and carry the same labels; its number."""
    postings = build_postings([item.text for item in items])
    access = sorted(mark(label) for label in items[0].payload.get("access", ()))
    segment = insert_postings(connection, base, access, postings)
    with connection.cursor() as cursor:
        rows = base.sql("COPY {items} (segment, place, id, text_hash, line, marks) FROM STDIN (FORMAT BINARY)")
        with cursor.copy(rows) as copy:
            copy.set_types(["int4", "int4", "bytea", "bytea", "text", "text[]"])
            for place, item in enumerate(items):
                copy.write_row((segment, place, binary(item.id), text_hash(item.text), line_of(item), marks_of(item)))
        if vectors is not None:
            with cursor.copy(base.sql("COPY {vectors} (segment, place, vector) FROM STDIN (FORMAT BINARY)")) as copy:
                copy.set_types(["int4", "int4", "vector"])
                for place, vector in enumerate(vectors):
                    copy.write_row((segment, place, vector))
    documents: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        documents.setdefault(document_of(item), []).append(place)
    insert_documents(
        connection, base, segment, [(binary(name), digests.get(name, ""), at) for name, at in documents.items()]
    )
    return segment


def insert_postings(connection: Connection[Any], base: Base, access: Sequence[str], postings: Postings) -> int:
    """A segment's row and its posting lists."""
    row = connection.execute(
        "INSERT INTO rung.segments (base, access, size, lengths) VALUES (%s, %s, %s, %s) RETURNING id",
        (base.number, list(access), postings.lengths.size, postings.lengths.astype("<i4").tobytes()),
    ).fetchone()
    assert row is not None
    segment: int = row[0]
    docs, counts = postings.docs.astype("<i4"), postings.counts.astype(postings.counts.dtype.newbyteorder("<"))
    starts = postings.starts.tolist()
    with (
        connection.cursor() as cursor,
        cursor.copy(base.sql("COPY {lists} (segment, term, docs, counts, bound) FROM STDIN (FORMAT BINARY)")) as copy,
    ):
        copy.set_types(["int4", "bytea", "bytea", "bytea", "float4"])
        for n, bound in enumerate(postings.bounds.tolist()):
            a, b = starts[n], starts[n + 1]
            copy.write_row((segment, postings.terms.bytes_of(n), docs[a:b].tobytes(), counts[a:b].tobytes(), bound))
    return segment


def insert_documents(
    connection: Connection[Any], base: Base, segment: int, documents: Iterable[tuple[bytes, str, list[int]]]
) -> None:
    """What a segment holds of which document: its name, its digest and the places of its items."""
    with (
        connection.cursor() as cursor,
        cursor.copy(
            base.sql("COPY {documents} (segment, document, digest, places) FROM STDIN (FORMAT BINARY)")
        ) as copy,
    ):
        copy.set_types(["int4", "bytea", "text", "int4[]"])
        for name, digest, places in documents:
            copy.write_row((segment, name, digest, places))


def visible_ids(connection: Connection[Any], members: Sequence[int], labels: frozenset[str] | None) -> list[int]:
    """The segments that a caller may see. What else is read of a version is read of these alone."""
    if labels is None:
        return sorted(members)
    rows = connection.execute(
        "SELECT id FROM rung.segments WHERE id = ANY(%s) AND (access = '{}' OR access && %s) ORDER BY id",
        (list(members), [mark(label) for label in labels]),
    ).fetchall()
    return [row[0] for row in rows]


def read_held(connection: Connection[Any], base: Base, version: int, ids: Sequence[int]) -> dict[int, Held]:
    """Segments as a version sees them."""
    rows = connection.execute(
        "SELECT id, access, lengths FROM rung.segments WHERE id = ANY(%s)", (list(ids),), binary=True
    ).fetchall()
    dead: dict[int, list[int]] = {}
    gone = base.sql(
        f"SELECT d.segment, array_agg(d.place) FROM {{dead}} d WHERE d.segment = ANY(%(ids)s) AND {DEAD} GROUP BY 1"
    )
    for segment, places in connection.execute(gone, {"ids": list(ids), "version": version}, binary=True):
        dead[segment] = places
    found = {}
    for segment, access, lengths in rows:
        sizes = np.frombuffer(lengths, "<i4").astype(np.int32, copy=False)
        living: Mask | None = None
        if segment in dead:
            living = np.ones(sizes.size, np.bool_)
            living[dead[segment]] = False
        labels = frozenset(json.loads(label)[0] for label in access)
        found[segment] = Held(segment, labels, sizes, living, Workspace(sizes.size))
    return found


def read_lists(
    connection: Connection[Any], base: Base, segments: Sequence[Held], terms: Sequence[str] | None = None
) -> list[Asked]:
    """The posting lists of some terms, or of all, in each of the segments."""
    ids = [segment.id for segment in segments]
    only = "" if terms is None else " AND term = ANY(%(terms)s)"
    rows: dict[int, list[Any]] = {id: [] for id in ids}
    found = connection.execute(
        base.sql("SELECT segment, term, docs, counts, bound FROM {lists} WHERE segment = ANY(%(ids)s)" + only),
        {"ids": ids, "terms": [binary(term) for term in terms or ()]},
        binary=True,
    )
    for segment, *of_term in found:
        rows[segment].append(of_term)
    return [Asked(_postings(rows[segment.id], segment.lengths), segment.workspace) for segment in segments]


def _postings(rows: Sequence[Any], lengths: NDArray[np.int32]) -> Postings:
    names = [term.decode("utf-8", "surrogatepass") for term, *_ in rows]
    docs = [np.frombuffer(docs, "<i4") for _, docs, _, _ in rows]
    width = max((len(counts) // of.size for (_, _, counts, _), of in zip(rows, docs, strict=True)), default=1)
    counts = [np.frombuffer(counts, f"<u{width}") for _, _, counts, _ in rows]
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([of.size for of in docs], out=starts[1:])
    return Postings(
        terms=Strings.of(names),
        lookup=Lookup.of(names),
        starts=starts,
        docs=np.concatenate([*docs, np.zeros(0, np.int32)]),
        counts=np.concatenate([*counts, np.zeros(0, f"u{width}")]),
        lengths=lengths,
        bounds=np.array([bound for *_, bound in rows], np.float32),
    )
