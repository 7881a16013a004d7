"""Many strings found by their hash: terms, ids and texts, looked up in a mapped file without a dictionary in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rung.retrieval.arrays import Arrays


def hash_of(text: str) -> int:
    """64 bits of a string, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def hashes_of(texts: Iterable[str]) -> NDArray[np.uint64]:
    """uint64 [n]: the hashes of many."""
    digests = (hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), "<u8")


@dataclass(frozen=True)
class Strings:
    """Strings one behind the other: string n is bytes `starts[n]` to `starts[n + 1]` of `data`."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return self.starts.size - 1

    def bytes_of(self, n: int) -> bytes:
        return self.data[self.starts[n] : self.starts[n + 1]].tobytes()

    def __getitem__(self, n: int) -> str:
        return self.bytes_of(n).decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        whole = self.data.tobytes()
        for start, end in pairwise(self.starts.tolist()):
            yield whole[start:end].decode("utf-8", "surrogatepass")

    @classmethod
    def of(cls, texts: Iterable[str]) -> Strings:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        starts = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(each) for each in encoded], out=starts[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), starts)

    def arrays(self, name: str) -> Arrays:
        """As they are kept under a name."""
        return {f"{name}.data": self.data, f"{name}.starts": self.starts}

    @classmethod
    def from_arrays(cls, arrays: Arrays, name: str) -> Strings:
        return cls(arrays[f"{name}.data"], arrays[f"{name}.starts"])


@dataclass(frozen=True)
class Lookup:
    """Where strings stand by their hash: `hashes` ascending, and the place of each in `places`."""

    hashes: NDArray[np.uint64]
    places: NDArray[np.int32]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Lookup:
        hashes = hashes_of(texts)
        places = np.argsort(hashes, kind="stable")
        return cls(hashes[places], places.astype(np.int32))

    def candidates(self, texts: Sequence[str]) -> list[list[int]]:
        """For every text the places that have its hash, mostly none or one; whether they have the text is to be checked."""
        wanted = hashes_of(texts)
        first = np.searchsorted(self.hashes, wanted, "left")
        last = np.searchsorted(self.hashes, wanted, "right")
        return [self.places[a:b].tolist() for a, b in zip(first, last, strict=True)]

    def find(self, texts: Sequence[str], strings: Strings) -> list[int]:
        """The place of every text among the strings, -1 where it is none of them."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        found = []
        for text, places in zip(encoded, self.candidates(texts), strict=True):
            found.append(next((place for place in places if strings.bytes_of(place) == text), -1))
        return found

    def arrays(self, name: str) -> Arrays:
        """As they are kept under a name."""
        return {f"{name}.hashes": self.hashes, f"{name}.places": self.places}

    @classmethod
    def from_arrays(cls, arrays: Arrays, name: str) -> Lookup:
        return cls(arrays[f"{name}.hashes"], arrays[f"{name}.places"])
