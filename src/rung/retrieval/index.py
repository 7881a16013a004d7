"""The index: items found by their words and by their meaning, opened from one segment or from a knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Hit, Item, Where
from rung.core.errors import DataError
from rung.core.model import Encoder
from rung.retrieval.asking import asked_of
from rung.retrieval.best_terms import Found, Mask
from rung.retrieval.dense import same_length, unit_vectors
from rung.retrieval.hybrid import DEPTH, Ranking, best_of, fuse
from rung.retrieval.population import Callers, Part, Population, both
from rung.retrieval.publish import is_sound
from rung.retrieval.reuse import vectors_of
from rung.retrieval.segment import VERSION, Contents, in_order, write_segment
from rung.retrieval.versions import is_base, open_version, read_pointer

_BOTH_AT_ONCE = 50_000
"""From so many items on words and meaning are searched at the same time, in two threads."""


def build_index(items: Sequence[Item], *, encoder: Encoder | None, indexes: Path, kind: str) -> str:
    """Write `indexes/<hash>/` and return `<hash>@1`; an index that is already there and sound is returned as it is.

    The hash covers the items (in any order), the encoder and `kind`, a word for what the items are, such as "passages".
    Without an encoder the index can be searched lexically only. The folder appears whole or not at all; two processes may
    build the same one. Vectors of texts that another index of this run or of a run beside it holds are not made again. Payloads
    must be JSON values.

    Raises DataError E2700 when two items have one id, E2701 when there are none, BackendError E3205 when the encoder
    returns unusable vectors, WriteError E5001 or E5002 when the folder cannot be written.
    """
    contents = Contents(in_order(items, kind), kind, encoder.id if encoder else "")
    folder = indexes / contents.name
    if not is_sound(folder):
        vectors = vectors_of(encoder, [item.text for item in contents.items], indexes) if encoder else None
        write_segment(folder, contents, vectors)
    return f"{contents.name}@{VERSION}"


class Index:
    """An opened index; its files are mapped, and what is found is read. `id` is `<name>@<version>`.

    The folder holds one segment, which never changes, or a knowledge base: then `version` is one of its versions, the
    current one unless another is named, and stays what it is whatever becomes of the base. `encoder` must be the one that
    made the index; without one it can be searched lexically only.

    Raises DataError E2702 when there is no index in the folder, E2703 when a file of it is damaged, E2704 when another
    encoder made it, E2706 when its format is another one, E2707 when it is another index than the folder's name says,
    E2712 when the knowledge base has no such version.
    """

    def __init__(
        self, folder: Path, encoder: Encoder | None = None, version: int | None = None, *, known: Sequence[Part] = ()
    ) -> None:
        opened = open_version(folder, version, known)
        if encoder is not None and opened.encoder and encoder.id != opened.encoder:
            raise DataError("E2704", str(folder), index=opened.encoder, encoder=encoder.id)
        self.id = opened.id
        self.kind = opened.kind
        self._folder = folder
        self._made_by = opened.encoder
        self._encoder = encoder
        self._parts = opened.parts
        self._firsts = np.cumsum([0, *(part.segment.size for part in opened.parts)])
        self._callers = Callers(opened.parts)

    build = staticmethod(build_index)

    def latest(self) -> Index:
        """The current version of the same knowledge base: this very index while that is it.

        To follow a base that grows: only segments that are not open yet are read and checked.
        """
        if not is_base(self._folder) or self.id.endswith(f"@{read_pointer(self._folder).current}"):
            return self
        return Index(self._folder, self._encoder, known=self._parts)

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """Every item in the order of their ids, read from disk."""
        found = [
            part.segment.item(place)
            for part in self._parts
            for place in range(part.segment.size)
            if part.living is None or part.living[place]
        ]
        return tuple(sorted(found, key=lambda item: item.id))

    def __len__(self) -> int:
        return sum(part.size for part in self._parts)

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
        """The k best items of every query, best first; fewer where the index, or the lexical search, has no more.

        `mode`: rrf | lexical | dense; the score is the fused one, BM25 or the cosine. The lower id wins a tie. A blank
        query finds nothing; terms that occur nowhere leave `rrf` to the vectors. `exclude`: ids never returned, a set a
        query. `seen_by`: labels of the caller, who gets just what an index without all that the caller may not see would
        give; None: no limit; empty: only items without labels. `where`: metadata that items must have.

        Raises DataError E2705 when the mode needs vectors and the index has none, or was opened without an encoder.
        """
        asked = asked_of(queries, k, mode, exclude)
        found: list[list[Hit]] = [[] for _ in queries]
        if not asked:
            return found
        vectors = self._encoded([queries[n] for n in asked]) if mode != "lexical" else None
        population, filters = self._callers.of(seen_by), self._callers.filters(where)
        depth = max(k, DEPTH) if mode == "rrf" else k
        outs = [self._positions(ids) for ids in asked.values()]
        lists = []
        near = None
        if vectors is not None:
            wanted = [(vector, depth + len(out)) for vector, out in zip(vectors, outs, strict=True)]
            near = self._begun(mode, lambda: [_nearest(population, vector, n, filters) for vector, n in wanted])
        if mode != "dense":
            lists.append(
                [
                    population.best_by_terms(queries[n], depth + len(out), filters)
                    for n, out in zip(asked, outs, strict=True)
                ]
            )
        if near is not None:
            lists.append(near())
        for n, out, *each in zip(asked, outs, *lists, strict=True):
            rankings = [self._ranking(one, depth, out) for one in each]
            found[n] = self._hits(self._fused(rankings, k) if mode == "rrf" else rankings[0])
        return found

    def _begun(self, mode: str, search: Callable[[], list[list[Found]]]) -> Callable[[], list[list[Found]]]:
        """What gives the result of a dense search; where there is much to search, it runs beside the lexical one."""
        return search if mode == "dense" or len(self) < _BOTH_AT_ONCE else self._second.submit(search).result

    @cached_property
    def _second(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(thread_name_prefix="rung-dense")

    def _encoded(self, queries: Sequence[str]) -> NDArray[np.float32]:
        if not self._made_by or self._encoder is None:
            raise DataError("E2705", index=self.id)
        vectors = unit_vectors(self._encoder, queries)
        for part in self._parts:
            assert part.segment.dense is not None
            same_length(self._encoder, vectors, part.segment.dense.vectors.shape[1])
        return vectors

    def _positions(self, ids: frozenset[str]) -> list[int]:
        names = sorted(ids)
        return [
            int(first) + place
            for first, part in zip(self._firsts, self._parts, strict=False)
            for place in part.segment.find(names)
            if place >= 0
        ]

    def _ranking(self, found: Sequence[Found], k: int, out: Sequence[int]) -> Ranking:
        """What the parts found as one list of positions, without some of them."""
        if not found:
            return Ranking(np.zeros(0, np.int64), np.zeros(0))
        lists = [Ranking(each.places + first, each.scores) for first, each in zip(self._firsts, found, strict=False)]
        best = best_of(lists, k + len(out))
        if out:
            kept = ~np.isin(best.positions, out)
            best = Ranking(best.positions[kept], best.scores[kept])
        order = np.lexsort((self._by_id(best.positions), -best.scores))[:k]
        return Ranking(best.positions[order], best.scores[order])

    def _fused(self, rankings: Sequence[Ranking], k: int) -> Ranking:
        positions = np.unique(np.concatenate([ranking.positions for ranking in rankings]))
        # Fused by their order of ids, since the lower id wins a tie.
        by_id = self._by_id(positions)
        in_order = positions[np.argsort(by_id)]
        numbered = [Ranking(by_id[np.searchsorted(positions, r.positions)], r.scores) for r in rankings]
        best = fuse(numbered, k)
        return Ranking(in_order[best.positions], best.scores)

    def _by_id(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [n]: for every position its rank by id among these."""
        ranks = np.empty(positions.size, np.int64)
        if len(self._parts) == 1:
            order = np.argsort(positions)
        else:
            names = [part.segment.ids.bytes_of(place) for part, place in self._located(positions)]
            order = np.array(sorted(range(len(names)), key=names.__getitem__), np.int64)
        ranks[order] = np.arange(positions.size)
        return ranks

    def _located(self, positions: NDArray[np.int64]) -> list[tuple[Part, int]]:
        parts = np.searchsorted(self._firsts, positions, "right") - 1
        return [
            (self._parts[part], place)
            for part, place in zip(parts.tolist(), (positions - self._firsts[parts]).tolist(), strict=True)
        ]

    def _hits(self, ranking: Ranking) -> list[Hit]:
        return [
            Hit(part.segment.item(place), float(np.float32(score)))
            for (part, place), score in zip(self._located(ranking.positions), ranking.scores.tolist(), strict=True)
        ]


def _nearest(population: Population, query: NDArray[np.float32], k: int, filters: Sequence[Mask | None]) -> list[Found]:
    found = []
    for part, mask in zip(population.parts, filters, strict=True):
        assert part.segment.dense is not None
        found.append(part.segment.dense.best(query, k, both(part.living, mask)))
    return found
