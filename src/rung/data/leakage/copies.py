"""The same question twice: within a split, across splits, and with answers that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rung.core.task import Example
from rung.data.leakage.keys import contradict, text_key
from rung.data.leakage.near import NEAR, NearPairs, Progress, Search, find_near
from rung.data.leakage.semantic import find_close

Kind = Literal["exact", "normalised", "near", "semantic"]
KINDS: tuple[Kind, ...] = ("exact", "normalised", "near", "semantic")
MOST_NEAR = 0.2
"""Share of train above which near copies are no accident: the questions follow templates, and taking them out would leave
no training data."""


@dataclass(frozen=True, slots=True)
class Place:
    """An example and the split it lies in."""

    id: str
    split: str


@dataclass(frozen=True, slots=True)
class Pair:
    """An example and an earlier one with the same text, or nearly."""

    first: Place
    second: Place
    kind: Kind
    conflict: bool
    """Whether no answer of the one is an answer of the other."""
    score: float = 1.0
    """near: Jaccard similarity of the shingles. semantic: cosine of the vectors."""

    @property
    def across(self) -> bool:
        return self.first.split != self.second.split

    def to_json(self) -> dict[str, Any]:
        return {
            "first": {"id": self.first.id, "split": self.first.split},
            "second": {"id": self.second.id, "split": self.second.split},
            "kind": self.kind,
            "conflict": self.conflict,
            "score": round(self.score, 4),
        }


@dataclass(frozen=True)
class DuplicateReport:
    """Every repeated example, paired once with the first of its text, and once with the first of it in each other split;
    every near copy, paired with its nearest in its own split and in each other one."""

    pairs: tuple[Pair, ...]

    @property
    def within(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if not pair.across)

    @property
    def across(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.across)

    @property
    def conflicts(self) -> tuple[Pair, ...]:
        """The same question with another answer; near copies may well ask something else, and are left out."""
        return tuple(pair for pair in self.pairs if pair.conflict and pair.kind in {"exact", "normalised"})

    def affected(self, split: str) -> frozenset[str]:
        """Ids of a split's examples that have a copy in another split."""
        return frozenset(
            place.id for pair in self.across for place in (pair.first, pair.second) if place.split == split
        )

    def to_json(self) -> dict[str, Any]:
        """Counts, and the pairs as plain values."""
        return {
            **{kind: n for kind in KINDS if (n := sum(pair.kind == kind for pair in self.pairs)) or kind in KINDS[:2]},
            "within": len(self.within),
            "across": len(self.across),
            "conflicts": len(self.conflicts),
            "pairs": [pair.to_json() for pair in self.pairs],
        }


@dataclass(frozen=True)
class CopySearch:
    """What counts as a copy, beside equal and normalised-equal texts."""

    near: float | None = NEAR
    """Jaccard similarity from which texts are near copies; None: not looked for."""
    vectors: Mapping[str, NDArray[np.float32]] | None = None
    """Unit vectors [n, d] of every split's examples, in their order, for semantic copies; None: not looked for."""
    close: float = 0.95
    """Cosine from which texts are semantic copies."""
    across: bool = False
    """Only copies of other splits."""


EXACT = CopySearch(near=None)
"""Equal and normalised-equal texts only."""


@dataclass(frozen=True)
class _Text:
    """One text as it occurs: its examples by split, and the first place it was met."""

    by_split: dict[str, list[Example]]
    rank: int


def find_duplicates(
    splits: Mapping[str, Sequence[Example]], search: CopySearch = EXACT, *, progress: Progress | None = None
) -> DuplicateReport:
    """Copies over all splits, by the kinds that `search` names.

    Every repeat is paired with the first example of its text in its own split, and with the first in every other split that
    came before, so that the report stays as long as the data however often a text is repeated. A pair has one kind, the
    strictest that holds.
    """
    texts: dict[str, _Text] = {}
    pairs: list[Pair] = []
    for split, examples in splits.items():
        for example in examples:
            text = texts.setdefault(text_key(example), _Text({}, len(texts)))
            for home, members in text.by_split.items():
                if not search.across or home != split:
                    first = members[0]
                    kind: Kind = "exact" if first.asked == example.asked else "normalised"
                    conflict = contradict(first, example)
                    pairs.append(Pair(Place(first.id, home), Place(example.id, split), kind, conflict))
            text.by_split.setdefault(split, []).append(example)
    seen = {(pair.first, pair.second) for pair in pairs}
    # Sorted, so that the order of rows changes nothing.
    keys = sorted(texts)
    order = {split: n for n, split in enumerate(splits)}
    homes = np.array([sum(1 << order[split] for split in texts[key].by_split) for key in keys], np.uint64)
    found: list[tuple[Kind, NearPairs]] = []
    if search.near is not None:
        wanted = Search(search.near, homes if len(splits) > 1 else None, search.across)
        found.append(("near", find_near(keys, wanted, progress=progress)))
    if search.vectors is not None and keys:
        rows: dict[str, NDArray[np.float32]] = {}
        for split, part in splits.items():
            for example, row in zip(part, search.vectors[split], strict=True):
                rows.setdefault(text_key(example), row)
        vectors = np.stack([rows[key] for key in keys])
        found.append(("semantic", find_close(vectors, search.close, homes=homes if search.across else None)))
    for kind, near in found:
        held = [texts[key] for key in keys]
        for pair in _nearest(held, near, homes, list(splits), kind, search.across):
            if (pair.first, pair.second) not in seen:
                seen.add((pair.first, pair.second))
                pairs.append(pair)
    return DuplicateReport(tuple(pairs))


def _nearest(
    texts: Sequence[_Text], near: NearPairs, homes: NDArray[np.uint64], splits: Sequence[str], kind: Kind, across: bool
) -> Iterable[Pair]:
    """Every example of a text with a near copy, and the first example of its nearest text in each split."""
    own = np.concatenate([near.first, near.second])
    partner = np.concatenate([near.second, near.first])
    score = np.concatenate([near.score, near.score])
    order = np.lexsort((partner, -score, own))
    own, partner, score = own[order], partner[order], score[order]
    places = {split: n for n, split in enumerate(splits)}
    for split, bit in places.items():
        there = np.flatnonzero(homes[partner] >> np.uint64(bit) & np.uint64(1))
        first = there[np.concatenate([[True], own[there][1:] != own[there][:-1]])[: len(there)]]
        for mine, its, value in zip(own[first].tolist(), partner[first].tolist(), score[first].tolist(), strict=True):
            text, other = texts[mine], texts[its].by_split[split][0]
            for home, examples in text.by_split.items():
                # A text that stands in that split itself has its exact copy there already.
                if (home != split and split in text.by_split) or (home == split and across):
                    continue
                for example in examples:
                    one, two = Place(other.id, split), Place(example.id, home)
                    if (places[home], text.rank) < (places[split], texts[its].rank):
                        one, two = two, one
                    yield Pair(one, two, kind, contradict(other, example), value)


@dataclass(frozen=True)
class Kept:
    """The training examples that stay."""

    examples: tuple[Example, ...]
    templated: bool = False
    """Near copies stay too: there are more than `MOST_NEAR` of train."""


def without_copies(train: Sequence[Example], held_out: Iterable[Example], near: float | None = NEAR) -> Kept:
    """The training examples whose text no held-out example holds, or nearly, so that dev and test stay whole.

    Where near copies are more than a fifth of train, they stay, and the result says so.
    """
    held = list(held_out)
    hidden = {text_key(example) for example in held}
    kept = tuple(example for example in train if text_key(example) not in hidden)
    if near is None or not held:
        return Kept(kept)
    report = find_duplicates({"train": kept, "held": held}, CopySearch(near, across=True))
    copies = report.affected("train")
    if len(copies) > MOST_NEAR * len(train):
        return Kept(kept, templated=True)
    return Kept(tuple(example for example in kept if example.id not in copies))


def near_links(examples: Sequence[Example], near: float = NEAR) -> list[tuple[int, int]]:
    """Pairs of examples (places in the list) whose texts are near copies, the nearest first, whatever the order of rows."""
    places: dict[str, int] = defaultdict(int)
    for place, example in enumerate(examples):
        places.setdefault(text_key(example), place)
    keys = sorted(places)
    found = find_near(keys, Search(near))
    order = np.lexsort((found.second, found.first, -found.score))
    return [(places[keys[i]], places[keys[j]]) for i, j in zip(found.first[order], found.second[order], strict=True)]
