"""The index: items with BM25 weights and vectors in one folder, published whole and checked when opened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from rung.core.answer import Hit, Item
from rung.core.errors import DataError
from rung.core.hashing import hash_json
from rung.core.model import Encoder
from rung.retrieval.dense import cosines, unit_vectors
from rung.retrieval.hybrid import DEPTH, Ranking, fuse, rank
from rung.retrieval.lexical import Lexical, build_lexical
from rung.retrieval.publish import is_sound, publish, verified
from rung.retrieval.reuse import vectors_of

FORMAT = 1
VERSION = 1
MODES = ("rrf", "lexical", "dense")
_BLOCK_CELLS = 1 << 23
"""Scores held at once, queries times items: 32 MiB for each kind of search."""


def build_index(items: Sequence[Item], *, encoder: Encoder | None, indexes: Path, kind: str) -> str:
    """Write `indexes/<hash>/` and return `<hash>@1`; an index that is already there and sound is returned as it is.

    The hash covers the items (in any order), the encoder and `kind`, a word for what the items are, such as "passages".
    Without an encoder the index can be searched lexically only. The folder appears whole or not at all; two processes may
    build the same one. Vectors of texts that another index of this run or of a run beside it holds are not made again. Payloads
    must be JSON values.

    Raises DataError E2700 when two items have one id, E2701 when there are none, BackendError E3205 when the encoder
    returns unusable vectors, WriteError E5001 or E5002 when the folder cannot be written.
    """
    items = sorted(items, key=lambda item: item.id)
    if not items:
        raise DataError("E2701", kind=kind)
    for first, second in pairwise(items):
        if first.id == second.id:
            raise DataError("E2700", kind=kind, id=first.id)
    rows = [_line(item) for item in items]
    fingerprint = encoder.id if encoder else ""
    name = hash_json([FORMAT, VERSION, kind, fingerprint, rows])
    folder = indexes / name
    if is_sound(folder):
        return f"{name}@{VERSION}"

    texts = [item.text for item in items]
    lexical = build_lexical(texts)
    weights = {"data": lexical.data, "indices": lexical.indices, "indptr": lexical.indptr}
    files = {
        "items.jsonl": "".join(row + "\n" for row in rows).encode("utf-8", "surrogatepass"),
        "vocabulary.json": json.dumps(lexical.vocabulary, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        "lexical.safetensors": save(weights),
    }
    if encoder is not None:
        files["vectors.safetensors"] = save({"vectors": vectors_of(encoder, texts, indexes)})
    about = {"format": FORMAT, "id": f"{name}@{VERSION}", "kind": kind, "encoder": fingerprint, "items": len(items)}
    publish(folder, files, about)
    return f"{name}@{VERSION}"


class Index:
    """An opened index, held in memory. `id` is `<hash>@<version>`; `items` stand in the order of their ids.

    `encoder` must be the one that made the index; without one it can be searched lexically only.

    Raises DataError E2702 when there is no index in the folder, E2703 when a file of it is damaged, E2704 when another
    encoder made it, E2706 when its format is another one, E2707 when it is another index than the folder's name says.
    """

    def __init__(self, folder: Path, encoder: Encoder | None = None) -> None:
        manifest = verified(folder)
        if manifest["format"] != FORMAT:
            raise DataError("E2706", str(folder), found=manifest["format"], known=FORMAT)
        if manifest["id"].split("@")[0] != folder.name:
            raise DataError("E2707", str(folder), found=manifest["id"])
        made_by = manifest["encoder"]
        if encoder is not None and made_by and encoder.id != made_by:
            raise DataError("E2704", str(folder), index=made_by, encoder=encoder.id)
        self.id: str = manifest["id"]
        self.kind: str = manifest["kind"]
        text = (folder / "items.jsonl").read_bytes().decode("utf-8", "surrogatepass")
        self.items = tuple(Item(**json.loads(line)) for line in text.split("\n") if line)
        vocabulary = json.loads((folder / "vocabulary.json").read_bytes().decode("utf-8", "surrogatepass"))
        weights = load_file(folder / "lexical.safetensors")
        self._lexical = Lexical(tuple(vocabulary), **weights, texts=len(self.items))
        self._encoder = encoder
        self._vectors: NDArray[np.float32] | None = None
        if made_by:
            self._vectors = load_file(folder / "vectors.safetensors")["vectors"]
        self._positions = {item.id: position for position, item in enumerate(self.items)}

    build = staticmethod(build_index)

    def search(
        self, queries: Sequence[str], k: int, *, mode: str = "rrf", exclude: Sequence[frozenset[str]] | None = None
    ) -> list[list[Hit]]:
        """The k best items of every query, best first; fewer where the index, or the lexical search, has no more.

        `mode`: rrf | lexical | dense; the score is the fused one, BM25 or the cosine. The lower id wins a tie. A blank
        query finds nothing; terms that occur nowhere leave `rrf` to the vectors. `exclude`: ids never returned, a set a
        query.

        Raises DataError E2705 when the mode needs vectors and the index has none, or was opened without an encoder.
        """
        if mode not in MODES:
            raise ValueError(f"mode {mode!r}: need one of {MODES}")
        hidden = [frozenset[str]()] * len(queries) if exclude is None else exclude
        asked = [n for n, (query, _) in enumerate(zip(queries, hidden, strict=True)) if query.strip()]
        found: list[list[Hit]] = [[] for _ in queries]
        if k < 1 or not asked:
            return found
        vectors = self._encoded([queries[n] for n in asked]) if mode != "lexical" else None
        size = max(1, _BLOCK_CELLS // len(self.items))
        for start in range(0, len(asked), size):
            block = asked[start : start + size]
            masks = [[self._positions[name] for name in hidden[n] if name in self._positions] for n in block]
            lists: list[Iterator[Ranking]] = []
            depth = max(k, DEPTH) if mode == "rrf" else k
            if mode != "dense":
                scores = self._lexical.scores([queries[n] for n in block])
                scores[scores <= 0] = -np.inf
                lists.append(_ranked(scores, masks, depth))
            if vectors is not None and self._vectors is not None:
                lists.append(_ranked(cosines(vectors[start : start + size], self._vectors), masks, depth))
            for n, *rankings in zip(block, *lists, strict=True):
                best = fuse(rankings, k) if mode == "rrf" else rankings[0]
                found[n] = [
                    Hit(self.items[position], float(score))
                    for position, score in zip(best.positions, best.scores, strict=True)
                ]
        return found

    def _encoded(self, queries: Sequence[str]) -> NDArray[np.float32]:
        if self._vectors is None or self._encoder is None:
            raise DataError("E2705", index=self.id)
        return unit_vectors(self._encoder, queries)


def _ranked(scores: NDArray[np.float32], masks: Sequence[Sequence[int]], k: int) -> Iterator[Ranking]:
    for row, mask in zip(scores, masks, strict=True):
        row[mask] = -np.inf
    return rank(scores, k)


def _line(item: Item) -> str:
    row = {"id": item.id, "text": item.text, "payload": item.payload}
    return json.dumps(row, ensure_ascii=False, default=dict)
