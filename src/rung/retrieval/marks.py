"""Access labels and metadata of items as numbers, so that who may see what is one look-up over millions of items."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Item, Where
from rung.retrieval.arrays import Arrays
from rung.retrieval.best_terms import Mask

_ACCESS = "access"
_FIELD = "metadata."


@dataclass(frozen=True)
class Marks:
    """`access[n]` is the number of item n's label set in `label_sets`; `fields[key][n]` that of its value in `values[key]`.

    An item without labels may be seen by everyone. Number -1: the item does not have the key.
    """

    label_sets: tuple[frozenset[str], ...]
    access: NDArray[np.int32]
    values: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, NDArray[np.int32]]

    @classmethod
    def of(cls, items: Sequence[Item]) -> Marks:
        """Labels and metadata as payloads carry them: `access`, `metadata`."""
        sets, access = _coded([_labels(item.payload.get("access", ())) for item in items])
        given = [{key: str(value) for key, value in (item.payload.get("metadata") or {}).items()} for item in items]
        values: dict[str, tuple[str, ...]] = {}
        fields: dict[str, NDArray[np.int32]] = {}
        for key in sorted({key for each in given for key in each}):
            values[key], fields[key] = _coded([each.get(key) for each in given])
        return cls(sets, access, values, fields)

    def seen_by(self, labels: frozenset[str] | None) -> Mask | None:
        """Which items a caller with these labels may see; None: all of them."""
        if labels is None:
            return None
        open_sets = np.array([not needed or bool(needed & labels) for needed in self.label_sets], np.bool_)
        return None if open_sets.all() else open_sets[self.access]

    def where(self, wanted: Where) -> Mask | None:
        """Which items have every key with the value, or one of the values; None: all of them."""
        mask = np.ones(self.access.size, np.bool_)
        for key, named in wanted.items():
            if key not in self.fields:
                return np.zeros(self.access.size, np.bool_)
            allowed = {named} if isinstance(named, str) else set(named)
            # The last place is what number -1 points to.
            able = np.array([*(value in allowed for value in self.values[key]), False], np.bool_)
            mask &= able[self.fields[key]]
        return None if mask.all() else mask

    def arrays(self) -> Arrays:
        """The numbers, as they are kept."""
        return {_ACCESS: self.access, **{f"{_FIELD}{key}": codes for key, codes in self.fields.items()}}

    def words(self) -> dict[str, Any]:
        """What the numbers stand for, as it is kept."""
        return {"access": [sorted(each) for each in self.label_sets], "metadata": self.values}

    @classmethod
    def from_kept(cls, arrays: Arrays, words: Mapping[str, Any]) -> Marks:
        return cls(
            tuple(map(frozenset, words["access"])),
            arrays[_ACCESS],
            {key: tuple(values) for key, values in words["metadata"].items()},
            {key: arrays[f"{_FIELD}{key}"] for key in words["metadata"]},
        )


def _labels(given: str | Sequence[str]) -> frozenset[str]:
    return frozenset({given} if isinstance(given, str) else given)


def _coded(values: Sequence[Any]) -> tuple[tuple[Any, ...], NDArray[np.int32]]:
    """The values in the order in which they are first met, and the number of each; -1 for None."""
    numbers: dict[Hashable, int] = {}
    codes = [-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values]
    return tuple(numbers), np.array(codes, np.int32)
