"""A sentence encoder for tests: unit vectors of letter counts, and a record of what it was asked to encode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class LetterEncoder:
    def __init__(self, id: str = "letters@1", dimensions: int = 32) -> None:
        self.id = id
        self.dimensions = dimensions
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += texts
        counts = np.full((len(texts), self.dimensions), 1e-3)
        for n, text in enumerate(texts):
            for char in text:
                counts[n, ord(char) % self.dimensions] += 1
        vectors: NDArray[np.float32] = (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
        return vectors
