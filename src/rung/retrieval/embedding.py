"""Vectors on their way into a knowledge base: made in batches, each kept as soon as it is done, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.core.durable import write_whole
from rung.core.hashing import hash_file, hash_json
from rung.core.model import Encoder
from rung.retrieval.arrays import map_arrays, write_arrays
from rung.retrieval.dense import same_length, unit_vectors

BATCH = 512
"""Texts that an encoder gets at once, for each of its `places` where it works in several."""
Progress = Callable[[float, float, str], None]
"""done, total, note"""


class Kept:
    """Batches of one encoder in a folder: vectors, and the SHA-256 of their texts. A damaged batch is made again."""

    def __init__(self, folder: Path, encoder: Encoder, dimensions: int = 0) -> None:
        """`dimensions`: of the vectors that are there already; 0 where there are none."""
        self._encoder = encoder
        self._dimensions = dimensions
        self._home = folder / hash_json(encoder.id)
        self.made = 0
        """Texts that were encoded, and not found among the kept."""

    def encode(
        self, texts: Sequence[str], known: Mapping[str, NDArray[np.float32]], progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """float32 [n, d]: vectors of texts; those that are `known` or kept are not made again.

        Raises BackendError E3205, WriteError E5001, E5002.
        """
        rows = {text: n for n, text in enumerate(dict.fromkeys(texts))}
        kept = self._read() if len(known) < len(rows) else {}
        vectors = np.zeros((len(rows), self._dimensions), np.float32)
        missing = []
        for text, row in rows.items():
            vector = known[text] if text in known else kept.get(_key(text)) if kept else None
            if vector is None:
                missing.append(text)
            else:
                vectors = _wide(vectors, vector.size)
                vectors[row] = vector
        kept.clear()
        at_once = BATCH * getattr(self._encoder, "places", 1)
        for start in range(0, len(missing), at_once):
            batch = missing[start : start + at_once]
            made = unit_vectors(self._encoder, batch)
            vectors = _wide(vectors, made.shape[1])
            same_length(self._encoder, made, vectors.shape[1])
            self._write(batch, made)
            vectors[[rows[text] for text in batch]] = made
            self.made += len(batch)
            if progress:
                progress(len(rows) - len(missing) + start + len(batch), len(rows), "")
        return vectors if len(rows) == len(texts) else vectors[[rows[text] for text in texts]]

    def _write(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        keys = np.frombuffer(b"".join(map(_key, texts)), np.uint8).reshape(len(texts), -1)
        data = io.BytesIO()
        write_arrays(data, {"texts": keys, "vectors": vectors})
        write_whole(self._home / f"{hashlib.sha256(data.getvalue()).hexdigest()}.safetensors", data.getvalue())

    def _read(self) -> dict[bytes, NDArray[np.float32]]:
        found: dict[bytes, NDArray[np.float32]] = {}
        for path in sorted(self._home.glob("*.safetensors")):
            if hash_file(path) == path.stem:
                arrays = map_arrays(path)
                found |= {row.tobytes(): vector for row, vector in zip(arrays["texts"], arrays["vectors"], strict=True)}
        return found


def _wide(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Room for vectors, once their length is known."""
    return vectors if vectors.shape[1] else np.empty((len(vectors), dimensions), np.float32)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
