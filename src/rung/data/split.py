"""Splits: frozen lists of example ids for train, dev and test, drawn by group and label, or the user's own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rung.core.errors import DataError
from rung.core.hashing import hash_json, seed_from
from rung.core.task import Example, Split, SplitName
from rung.data.findings import Finding
from rung.data.leakage.copies import near_links
from rung.data.leakage.keys import text_key
from rung.data.leakage.times import time_findings

NAMES: tuple[SplitName, ...] = ("train", "dev", "test")
FEWEST = 10
"""Examples without which no split is worth drawing."""
FEW_TEST = 30
"""Test examples below which an interval is too wide to tell rungs apart."""
_UNEVEN = 0.1
LARGEST = 0.1
"""Share of the examples that near copies may grow one block to: questions from one template are all alike, link by link."""
_SHOWN = 20


@dataclass(frozen=True)
class SplitSpec:
    """How examples are dealt out. The rest after dev and test is train."""

    dev_share: float = 0.2
    test_share: float = 0.3
    by_label: bool = False
    """Keep the shares within every label as well."""

    @property
    def shares(self) -> dict[SplitName, float]:
        return {"train": 1 - self.dev_share - self.test_share, "dev": self.dev_share, "test": self.test_share}


@dataclass(frozen=True)
class Splits:
    """Three frozen splits of one set of examples."""

    train: Split
    dev: Split
    test: Split
    official: bool = False
    """The user's own split: kept as it is, and its leaks are reported instead of removed."""
    seed: int = 0
    findings: tuple[Finding, ...] = field(default=())

    def __getitem__(self, name: SplitName) -> Split:
        return {"train": self.train, "dev": self.dev, "test": self.test}[name]

    def pick(self, name: SplitName, examples: Sequence[Example]) -> tuple[Example, ...]:
        """The examples of one split, in its order. Raises DataError E2140 where they are no longer what was frozen."""
        by_id = {example.id: example for example in examples}
        picked = tuple(by_id[id] for id in self[name].ids if id in by_id)
        if len(picked) < len(self[name].ids) or _hash(picked) != self[name].hash:
            raise DataError("E2140", split=name, missing=len(self[name].ids) - len(picked))
        return picked

    def to_json(self) -> dict[str, Any]:
        """Plain values, for splits.json."""
        return {
            "schema_version": 1,
            "official": self.official,
            "seed": self.seed,
            "splits": {name: self[name].model_dump(mode="json") for name in NAMES},
            "findings": [finding.to_json() for finding in self.findings],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Splits:
        """Raises DataError E2141 for values that `to_json` did not write."""
        try:
            train, dev, test = (Split.model_validate(value["splits"][name]) for name in NAMES)
            findings = tuple(Finding.from_json(finding) for finding in value["findings"])
            return cls(train, dev, test, bool(value["official"]), int(value["seed"]), findings)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError("E2141", detail=error) from error


def make_split(
    examples: Sequence[Example], spec: SplitSpec, seed: int = 0, *, times: Mapping[str, float] | None = None
) -> Splits:
    """Deal examples out to train, dev and test; with `times` (by id) test is the latest and train the earliest.

    Examples of one group, and examples of the same text or nearly, stay together. The same examples and seed give the same
    split in whatever order the rows come. Raises DataError E2130 for fewer than 10 examples, E2131 where all texts are the
    same, E2132 for a single label, E2133 where groups are too few or too large to fill three splits.
    """
    _check_size(examples, spec.by_label)
    if times is None:
        dealt = _deal(examples, spec.shares, spec.by_label, seed)
    else:
        dealt = _deal_by_time(examples, spec.shares, times)
    late = time_findings({"train": dealt["train"], "test": dealt["test"]}, times) if times is not None else []
    return _freeze(
        dealt, seed, official=False, findings=[*_uneven(dealt, spec), *_warnings(dealt, spec.by_label), *late]
    )


def own_split(
    train: Sequence[Example], test: Sequence[Example], dev: Sequence[Example], spec: SplitSpec, seed: int = 0
) -> Splits:
    """The user's own split. Without dev rows, `spec.dev_share` of train becomes dev, drawn as in `make_split`.

    Raises as `make_split` does, for train; DataError E2133 where test is empty.
    """
    _check_size(train, spec.by_label)
    dealt: dict[SplitName, list[Example]] = {"train": list(train), "dev": list(dev), "test": list(test)}
    if not dev:
        shares: dict[SplitName, float] = {"train": 1 - spec.dev_share, "dev": spec.dev_share}
        dealt |= _deal(train, shares, spec.by_label, seed)
    return _freeze(dealt, seed, official=True, findings=_warnings(dealt, spec.by_label))


def only_train(
    splits: Splits, examples: Sequence[Example], added: Sequence[Example], findings: Sequence[Finding] = ()
) -> Splits:
    """Splits with more training examples, which were not dealt out; `examples` hold those that were."""
    members = sorted([*splits.pick("train", examples), *added], key=lambda example: example.id)
    train = Split(name="train", ids=tuple(example.id for example in members), hash=_hash(members))
    return replace(splits, train=train, findings=(*splits.findings, *findings))


def _check_size(examples: Sequence[Example], by_label: bool) -> None:
    if len(examples) < FEWEST:
        raise DataError("E2130", found=len(examples), needed=FEWEST)
    if len({text_key(example) for example in examples}) == 1:
        raise DataError("E2131", found=len(examples))
    labels = {example.references[0] for example in examples}
    if by_label and len(labels) == 1:
        raise DataError("E2132", label=labels.pop())


def _deal(
    examples: Sequence[Example], shares: Mapping[SplitName, float], by_label: bool, seed: int
) -> dict[SplitName, list[Example]]:
    """Deal blocks out, stratum by stratum.

    Each block goes to the split that lies furthest behind its share, for its size (Webster's method); what a stratum leaves
    over or short is carried to the next, so that many small labels do not add up to a wrong share.
    """
    strata: dict[str, list[list[Example]]] = defaultdict(list)
    for block in _blocks(examples):
        strata[_stratum(block) if by_label else ""].append(block)
    dealt: dict[SplitName, list[Example]] = {name: [] for name in shares}
    owed = dict.fromkeys(shares, 0.0)
    for label in sorted(strata):
        blocks = strata[label]
        order = np.random.default_rng(seed_from("split", seed, label)).permutation(len(blocks))
        total = sum(map(len, blocks))
        owed = {name: owed[name] + share * total for name, share in shares.items()}
        # Large blocks first, while there is room to even them out; a sort is stable, so equals stay shuffled.
        for n, block in enumerate(sorted((blocks[i] for i in order), key=len, reverse=True)):
            behind = {name: (owed[name] - len(block) / 2) / share for name, share in shares.items()}
            # A label that training never saw cannot be learned.
            chosen: SplitName = "train" if by_label and n == 0 else max(behind, key=lambda name: behind[name])
            dealt[chosen] += block
            owed[chosen] -= len(block)
    return dealt


def _deal_by_time(
    examples: Sequence[Example], shares: Mapping[SplitName, float], times: Mapping[str, float]
) -> dict[SplitName, list[Example]]:
    """Blocks in the order of their latest example, cut at the shares: nothing in train is later than the cut."""
    blocks = sorted(
        (max(times[example.id] for example in block), n, block) for n, block in enumerate(_blocks(examples))
    )
    dealt: dict[SplitName, list[Example]] = {name: [] for name in shares}
    before = 0
    for _, _, block in blocks:
        middle = (before + len(block) / 2) / len(examples)
        split: SplitName = (
            "train" if middle < shares["train"] else "dev" if middle < shares["train"] + shares["dev"] else "test"
        )
        dealt[split] += block
        before += len(block)
    return dealt


def _blocks(examples: Sequence[Example]) -> list[list[Example]]:
    """What must stay together, in an order that rows do not change: examples of a group, of the same text, or nearly.

    Near copies are linked, the nearest first, as long as no block grows beyond a tenth of the examples by it.
    """
    parent = {i: i for i in range(len(examples))}

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[tuple[str, str], int] = {}
    for i, example in enumerate(examples):
        for link in (("text", text_key(example)), ("group", example.group)):
            if link[1]:
                parent[root(i)] = root(first.setdefault(link, i))
    sizes = Counter(root(i) for i in parent)
    for i, j in near_links(examples):
        one, other = root(i), root(j)
        if one != other and sizes[one] + sizes[other] <= max(2, LARGEST * len(examples)):
            parent[other] = one
            sizes[one] += sizes[other]
    blocks: dict[int, list[Example]] = defaultdict(list)
    for i, example in enumerate(examples):
        blocks[root(i)].append(example)
    ordered = [sorted(block, key=lambda example: (example.hash, example.id)) for block in blocks.values()]
    return sorted(ordered, key=lambda block: (block[0].hash, block[0].id))


def _stratum(block: Sequence[Example]) -> str:
    """The most frequent label of a block; the first in the alphabet on a tie."""
    counts = Counter(example.references[0] for example in block)
    return min(counts, key=lambda label: (-counts[label], label))


def _hash(examples: Sequence[Example]) -> str:
    return hash_json([[example.id, example.hash] for example in examples])


def _freeze(
    dealt: Mapping[SplitName, Sequence[Example]], seed: int, *, official: bool, findings: Sequence[Finding]
) -> Splits:
    empty = [name for name in NAMES if not dealt[name]]
    if empty:
        raise DataError("E2133", empty=", ".join(empty))
    frozen: dict[SplitName, Split] = {}
    for name in NAMES:
        members = sorted(dealt[name], key=lambda example: example.id)
        frozen[name] = Split(name=name, ids=tuple(example.id for example in members), hash=_hash(members))
    return Splits(frozen["train"], frozen["dev"], frozen["test"], official, seed, tuple(findings))


def _uneven(dealt: Mapping[SplitName, Sequence[Example]], spec: SplitSpec) -> list[Finding]:
    """Large groups cannot be cut, so the shares may come out far from those asked for."""
    total = sum(map(len, dealt.values()))
    actual = {name: len(members) / total for name, members in dealt.items()}
    if all(abs(actual[name] - share) <= _UNEVEN for name, share in spec.shares.items()):
        return []
    shown: dict[str, Any] = {name: f"{actual[name]:.0%} ({share:.0%})" for name, share in spec.shares.items()}
    return [Finding("warning", "E2154", shown)]


def _warnings(dealt: Mapping[SplitName, Sequence[Example]], by_label: bool) -> list[Finding]:
    found: list[Finding] = []
    if len(dealt["test"]) < FEW_TEST:
        found.append(Finding("warning", "E2150", {"found": len(dealt["test"]), "wanted": FEW_TEST}))
    if not by_label:
        return found
    labels = {name: Counter(example.references[0] for example in members) for name, members in dealt.items()}
    everywhere = sum(labels.values(), Counter())
    for code, missing in (
        ("E2151", [label for label, n in everywhere.items() if n == 1]),
        ("E2152", [label for label, n in everywhere.items() if n > 1 and not labels["test"][label]]),
        ("E2153", [label for label in labels["test"] if not labels["train"][label]]),
    ):
        if missing:
            shown = ", ".join(sorted(missing)[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
            found.append(Finding("warning", code, {"n": len(missing), "labels": shown}))
    return found
