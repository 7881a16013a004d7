"""The same question twice: within a split, across splits, and with answers that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rung.core.task import Example
from rung.text.normalise import normalise_key


@dataclass(frozen=True, slots=True)
class Place:
    """An example and the split it lies in."""

    id: str
    split: str


@dataclass(frozen=True, slots=True)
class Pair:
    """An example and an earlier one with the same text."""

    first: Place
    second: Place
    kind: Literal["exact", "normalised"]
    conflict: bool
    """Whether no answer of the one is an answer of the other."""

    @property
    def across(self) -> bool:
        return self.first.split != self.second.split


@dataclass(frozen=True)
class DuplicateReport:
    """Every repeated example, paired once with the first of its text, and once with the first of it in each other split."""

    pairs: tuple[Pair, ...]

    @property
    def within(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if not pair.across)

    @property
    def across(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.across)

    @property
    def conflicts(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.conflict)

    def affected(self, split: str) -> frozenset[str]:
        """Ids of a split's examples whose text another split holds too."""
        return frozenset(
            place.id for pair in self.across for place in (pair.first, pair.second) if place.split == split
        )

    def to_json(self) -> dict[str, Any]:
        """Counts, and the pairs as plain values."""
        return {
            "exact": sum(pair.kind == "exact" for pair in self.pairs),
            "normalised": sum(pair.kind == "normalised" for pair in self.pairs),
            "within": len(self.within),
            "across": len(self.across),
            "conflicts": len(self.conflicts),
            "pairs": [
                {
                    "first": {"id": pair.first.id, "split": pair.first.split},
                    "second": {"id": pair.second.id, "split": pair.second.split},
                    "kind": pair.kind,
                    "conflict": pair.conflict,
                }
                for pair in self.pairs
            ],
        }


def text_key(example: Example) -> str:
    """What two examples share when they ask the same: their text without case, width, punctuation and white space."""
    return normalise_key(example.text)


def contradict(one: Example, other: Example) -> bool:
    """Whether two examples of the same text have no answer in common."""
    return not {normalise_key(a) for a in one.references} & {normalise_key(a) for a in other.references}


def find_duplicates(splits: Mapping[str, Sequence[Example]]) -> DuplicateReport:
    """Equal and normalised-equal texts over all splits.

    Every repeat is paired with the first example of its text in its own split, and with the first in every other split that
    came before, so that the report stays as long as the data however often a text is repeated.
    """
    firsts: dict[str, dict[str, Example]] = defaultdict(dict)
    pairs: list[Pair] = []
    for split, examples in splits.items():
        for example in examples:
            earlier = firsts[text_key(example)]
            for home, first in earlier.items():
                kind: Literal["exact", "normalised"] = "exact" if first.text == example.text else "normalised"
                pairs.append(Pair(Place(first.id, home), Place(example.id, split), kind, contradict(first, example)))
            earlier.setdefault(split, example)
    return DuplicateReport(tuple(pairs))


def without_copies(train: Sequence[Example], held_out: Iterable[Example]) -> tuple[Example, ...]:
    """The training examples whose text no held-out example holds, so that dev and test stay whole."""
    hidden = {text_key(example) for example in held_out}
    return tuple(example for example in train if text_key(example) not in hidden)
