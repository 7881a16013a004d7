"""Vectors on their way into the store: those it holds are used again, others are made in batches that a killed run finds done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from rung.core.model import Encoder
from rung.retrieval.dense import same_length, unit_vectors
from rung.retrieval.embedding import BATCH, Progress
from rung.retrieval.postgres_segments import text_hash
from rung.retrieval.postgres_store import Base, drop_base, make_base

_ASKED = 5_000
"""Texts that are looked for at once."""


@dataclass(frozen=True)
class Making:
    """How a base is made: what its items are, the encoder, and the recipe by which documents are cut, as JSON."""

    kind: str
    encoder: Encoder | None
    recipe: str
    progress: Progress | None = None

    @property
    def made_by(self) -> str:
        return self.encoder.id if self.encoder else ""


@dataclass(frozen=True)
class Ready:
    """A base that takes items in, and the vectors of their texts."""

    base: Base
    vectors: dict[str, NDArray[np.float32]]
    encoded: int
    """Texts of which vectors were made now."""


def make_ready(
    connection: Connection[Any], base: Base | None, name: str, making: Making, texts: Sequence[str]
) -> Ready:
    """The base, made where there is none yet, and a vector for every text. Raises BackendError E3205."""
    if (
        base
        and not base.current
        and (base.kind, base.encoder, base.recipe)
        != (
            making.kind,
            making.made_by,
            making.recipe,
        )
    ):
        # Somebody began a base of this name in another way, and never finished its first version.
        with connection.transaction():
            drop_base(connection, base)
        base = None
    if making.encoder is None:
        return Ready(base or _made(connection, name, making, 0), {}, 0)
    wanted = list(dict.fromkeys(texts))
    found = _known(connection, base, wanted) if base else {}
    missing = [text for text in wanted if text not in found]
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]
        vectors = unit_vectors(making.encoder, batch)
        base = base or _made(connection, name, making, vectors.shape[1])
        same_length(making.encoder, vectors, base.dimensions)
        _keep(connection, base, batch, vectors)
        found |= dict(zip(batch, vectors, strict=True))
        if making.progress:
            making.progress(len(wanted) - len(missing) + start + len(batch), len(wanted), "")
    assert base is not None
    return Ready(base, found, len(missing))


def forget_pending(connection: Connection[Any], base: Base) -> None:
    """What has found its place in a segment is kept no more."""
    if base.dimensions:
        connection.execute(base.sql("DELETE FROM {pending}"))


def _made(connection: Connection[Any], name: str, making: Making, dimensions: int) -> Base:
    with connection.transaction():
        return make_base(connection, name, making.kind, making.made_by, dimensions, making.recipe)


def _known(connection: Connection[Any], base: Base, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    found = {}
    statement = base.sql(
        "SELECT DISTINCT ON (i.text_hash) i.text_hash, v.vector FROM {items} i JOIN {vectors} v USING (segment, place) "
        "WHERE i.text_hash = ANY(%(hashes)s) "
        "UNION ALL SELECT text_hash, vector FROM {pending} WHERE text_hash = ANY(%(hashes)s)"
    )
    for part in _pieces(texts, _ASKED):
        by_hash = {text_hash(text): text for text in part}
        for key, vector in connection.execute(statement, {"hashes": list(by_hash)}, binary=True):
            found[by_hash[key]] = vector.to_numpy()
    return found


def _keep(connection: Connection[Any], base: Base, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(base.sql("COPY {pending} (text_hash, vector) FROM STDIN (FORMAT BINARY)")) as copy,
    ):
        copy.set_types(["bytea", "vector"])
        for text, vector in zip(texts, vectors, strict=True):
            copy.write_row((text_hash(text), vector))


def _pieces(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), size):
        yield texts[start : start + size]
