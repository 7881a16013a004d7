"""Splits: frozen, even, whole groups, the same whatever the order of the rows."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.core.errors import DataError
from rung.core.task import Example
from rung.data.leakage.copies import find_duplicates
from rung.data.split import NAMES, Splits, SplitSpec, make_split, own_split

LABELS = SplitSpec(by_label=True)


def example(n: int, label: str = "a", group: str = "", text: str = "") -> Example:
    return Example(f"e{n:04}", {"text": text or f"question {n}"}, (label,), group)


def refusal(examples: list[Example], spec: SplitSpec = LABELS) -> str:
    with pytest.raises(DataError) as caught:
        make_split(examples, spec)
    assert caught.value.exit_code == 3
    return caught.value.code


def test_shares_hold_over_all_and_within_each_label() -> None:
    examples = [example(n, "abcd"[min(3, n % 7)]) for n in range(700)]
    splits = make_split(examples, LABELS)
    assert [len(splits[name].ids) for name in NAMES] == [350, 140, 210]
    totals = Counter(e.references[0] for e in examples)
    for name, share in LABELS.shares.items():
        counts = Counter(e.references[0] for e in splits.pick(name, examples))
        assert all(abs(counts[label] - share * n) <= 1.5 for label, n in totals.items())


def test_many_small_labels_do_not_bend_the_shares() -> None:
    examples = [example(n, f"label {n // 4}") for n in range(400)]
    splits = make_split(examples, LABELS)
    assert [len(splits[name].ids) for name in NAMES] == pytest.approx([200, 80, 120], abs=3)
    assert {e.references[0] for e in splits.pick("train", examples)} == {f"label {n}" for n in range(100)}


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(30, 120), st.booleans())
def test_the_order_of_rows_changes_nothing_and_nothing_is_lost(seed: int, n: int, by_label: bool) -> None:
    rng = random.Random(seed)
    examples = [
        example(i, rng.choice("abc"), rng.choice(["", f"g{i % 17}"]), f"question {rng.choice([i, i // 2])}")
        for i in range(n)
    ]
    spec = SplitSpec(by_label=by_label)
    splits = make_split(examples, spec, seed)
    shuffled = rng.sample(examples, n)
    assert make_split(shuffled, spec, seed) == splits
    parts = {name: splits.pick(name, shuffled) for name in NAMES}
    assert sorted(e.id for part in parts.values() for e in part) == sorted(e.id for e in examples)
    homes: dict[str, set[str]] = {}
    for name, part in parts.items():
        for e in part:
            if e.group:
                homes.setdefault(e.group, set()).add(name)
    assert all(len(names) == 1 for names in homes.values())
    assert not find_duplicates(parts).across


def test_another_seed_is_another_split() -> None:
    examples = [example(n, "ab"[n % 2]) for n in range(100)]
    assert make_split(examples, LABELS, 0).test != make_split(examples, LABELS, 1).test


def test_groups_of_all_sizes_are_dealt_out_fairly() -> None:
    examples = [example(n, group=f"g{size}-{i}") for size in range(1, 9) for i in range(20) for n in range(size)]
    examples = [example(n, group=e.group) for n, e in enumerate(examples)]
    parts = make_split(examples, SplitSpec())
    sizes = {name: Counter(Counter(e.group for e in parts.pick(name, examples)).values()) for name in NAMES}
    assert [sum(size * n for size, n in sizes[name].items()) for name in NAMES] == pytest.approx([360, 144, 216], abs=8)
    for size in range(1, 9):
        assert [sizes[name][size] for name in NAMES] == pytest.approx([10, 4, 6], abs=2)


def test_too_little_to_split_is_refused_with_a_reason() -> None:
    assert refusal([]) == "E2130"
    assert refusal([example(n, "ab"[n % 2]) for n in range(9)]) == "E2130"
    assert refusal([example(n, "ab"[n % 2], text="Same!" if n % 3 else "same") for n in range(20)]) == "E2131"
    assert refusal([example(n) for n in range(20)]) == "E2132"
    assert refusal([example(n, "ab"[n % 2], group=f"g{n % 2}") for n in range(20)]) == "E2133"
    assert make_split([example(n) for n in range(20)], SplitSpec()).test.ids


def test_thin_labels_and_small_tests_are_warned_about() -> None:
    examples = [example(n, "a" if n < 20 else "b" if n < 38 else f"rare {n}") for n in range(40)]
    splits = make_split(examples, LABELS)
    findings = {finding.code: finding for finding in splits.findings}
    assert findings.keys() == {"E2150", "E2151"}
    assert "rare 38, rare 39" in findings["E2151"].message()
    assert {"rare 38", "rare 39"} <= {e.references[0] for e in splits.pick("train", examples)}
    big = [example(n, group="big" if n < 80 else "") for n in range(100)]
    assert "E2154" in {finding.code for finding in make_split(big, SplitSpec()).findings}


def test_an_own_split_is_kept_and_lends_dev() -> None:
    train = [example(n, "ab"[n % 2]) for n in range(100)]
    test = [example(n, "ab"[n % 2], text=f"question {n}") for n in range(1000, 1040)]
    splits = own_split(train, test, [], LABELS)
    assert splits.official
    assert splits.test.ids == tuple(e.id for e in test)
    assert (len(splits.train.ids), len(splits.dev.ids)) == (80, 20)
    dev = [example(n) for n in range(500, 510)]
    assert own_split(train, test, dev, LABELS).dev.ids == tuple(e.id for e in dev)
    unseen = own_split(train, [*test, example(2000, "z")], dev, LABELS)
    assert "E2153" in {finding.code for finding in unseen.findings}
    with pytest.raises(DataError):
        own_split(train, [], dev, LABELS)


def test_splits_survive_json_and_notice_changed_data() -> None:
    examples = [example(n, "ab"[n % 2]) for n in range(40)]
    splits = make_split(examples, LABELS)
    assert Splits.from_json(json.loads(json.dumps(splits.to_json()))) == splits
    changed = [Example(e.id, {"text": "other"}, e.references) if e.id == splits.test.ids[0] else e for e in examples]
    assert splits.pick("train", changed)
    for broken in (changed, [e for e in examples if e.id != splits.test.ids[0]]):
        with pytest.raises(DataError) as caught:
            splits.pick("test", broken)
        assert caught.value.code == "E2140"
    with pytest.raises(DataError) as caught:
        Splits.from_json({"splits": {"train": {}}})
    assert caught.value.code == "E2141"
