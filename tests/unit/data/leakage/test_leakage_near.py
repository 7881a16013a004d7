"""Shingles and near copies: known overlaps, planted recall in both languages, the same answer however the work is dealt out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.leakage.keys import key_of
from rung.data.leakage.near import NearPairs, Search, find_near
from rung.data.leakage.shingles import overlap, shingle, shingle_sets
from rung.text.normalise import normalise_key

ENGLISH = "abcdefghijklmnopqrstuvwxyz"
CHINESE = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经"


def runs(key: str) -> set[str]:
    """Shingles as the documentation says them, one by one."""
    wide = [char >= "\u3400" for char in key]
    found = set()
    for i in range(len(key)):
        two = key[i : i + 2]
        if len(two) == 2 and (wide[i] or wide[i + 1]):
            found.add(two)
        elif len(key) - i >= 3:
            found.add(key[i : i + 3])
    return found or ({key} if key else set())


def jaccard(a: str, b: str) -> float:
    return len(runs(a) & runs(b)) / max(1, len(runs(a) | runs(b)))


def as_set(pairs: NearPairs) -> set[tuple[int, int]]:
    return set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        ("abcd", "abce", 1 / 3),
        ("押金什么时候退", "押金何时退", 1 / 9),
        ("同意", "不同意", 1 / 2),
        ("ab", "ab", 1.0),
        ("ab", "abc", 0.0),
        ("我的iphone坏了", "我的iphone坏", 8 / 9),
        ("", "", 0.0),
    ],
)
def test_known_overlaps(one: str, other: str, score: float) -> None:
    assert overlap(shingle_sets([one, other]), np.array([0]), np.array([1]))[0] == pytest.approx(score)


@given(st.lists(st.text(alphabet="abc1 的一是在", max_size=12), min_size=2, max_size=6))
@settings(max_examples=200, deadline=None)
def test_the_overlap_is_that_of_the_sets(keys: list[str]) -> None:
    assert np.array_equal(shingle(keys).counts > 0, [bool(key) for key in keys])
    first, second = np.triu_indices(len(keys), 1)
    expected = [jaccard(keys[i], keys[j]) for i, j in zip(first, second, strict=True)]
    assert overlap(shingle_sets(keys), first, second) == pytest.approx(expected)


@given(st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_the_quick_way_to_a_key_is_the_same_way(text: str) -> None:
    if text.isascii():
        assert key_of(text) == normalise_key(text)
    assert key_of(key_of(text)) == key_of(text) or not text.isascii()


def planted(alphabet: str, lengths: tuple[int, int], n: int) -> list[tuple[str, str]]:
    """Random texts with one or two characters changed, whose overlap is at least 0.8."""
    rng = np.random.default_rng(7)
    found: list[tuple[str, str]] = []
    while len(found) < n:
        letters = rng.choice(list(alphabet), rng.integers(*lengths)).tolist()
        changed = list(letters)
        for place in rng.integers(0, len(letters), rng.integers(1, 3)):
            changed[place] = alphabet[rng.integers(len(alphabet))]
        one, other = "".join(letters), "".join(changed)
        if one != other and jaccard(one, other) >= 0.8:
            found.append((one, other))
    return found


@pytest.mark.parametrize(("alphabet", "lengths"), [(ENGLISH, (35, 90)), (CHINESE, (20, 60))])
def test_planted_copies_are_found_and_nothing_else(alphabet: str, lengths: tuple[int, int]) -> None:
    pairs = planted(alphabet, lengths, 1000)
    keys = [one for one, _ in pairs] + [other for _, other in pairs]
    found = as_set(find_near(keys))
    wanted = {(n, n + len(pairs)) for n in range(len(pairs))}
    assert len(found & wanted) >= 0.99 * len(wanted)
    assert all(jaccard(keys[i], keys[j]) >= 0.8 for i, j in found)


def test_other_numbers_are_another_question() -> None:
    keys = [key_of(f"how do I move {n} dollars to my other account") for n in (100, 200, 1000)]
    assert len(find_near(keys)) == 0
    assert len(
        find_near(
            [key_of("I paid 100 on the 5th of May, where is it"), key_of("I paid 100 on the 5th of May, where it is")]
        )
    )


def test_short_texts_are_near_only_when_their_runs_are_the_same() -> None:
    keys = ["同意", "不同意", "好", "好好", "yes", "yess", "ok", "okay", "退押金", "退押金吗"]
    assert as_set(find_near(keys)) == set()


def test_no_text_and_a_blank_one() -> None:
    assert len(find_near([])) == len(find_near([""])) == len(find_near(["", "abcdef"])) == 0


def test_the_same_however_many_work_and_whatever_the_split() -> None:
    pairs = planted(ENGLISH, (35, 60), 300)
    keys = [text for pair in pairs for text in pair]
    alone, many = find_near(keys, Search(workers=1)), find_near(keys, Search(workers=3))
    assert as_set(alone) == as_set(many)
    assert np.array_equal(alone.score, many.score)
    homes = np.array([1 << (n % 2) for n in range(len(keys))], np.uint64)
    assert as_set(find_near(keys, Search(homes=homes, across=True))) == {
        (i, j) for i, j in as_set(alone) if (i + j) % 2
    }


def test_a_crowd_of_copies_hides_no_pair_with_another_split() -> None:
    base = "how long does a transfer to another country usually take to arrive"
    # Hundreds of near copies in train, all in the same buckets, and a few in test.
    keys = [key_of(f"{base}{a}{b}") for a in ENGLISH for b in ENGLISH[:12]]
    homes = np.array([2 if n % 50 == 0 else 1 for n in range(len(keys))], np.uint64)
    found = find_near(keys, Search(homes=homes, across=True))
    touched = {*found.first.tolist(), *found.second.tolist()}
    assert touched == set(range(len(keys)))
    assert len(found) < 100 * len(keys)


@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_another_threshold(threshold: float) -> None:
    pairs = planted(ENGLISH, (30, 90), 400)
    keys = [one for one, _ in pairs] + [other for _, other in pairs]
    wanted = {(n, n + len(pairs)) for n, (a, b) in enumerate(pairs) if jaccard(a, b) >= threshold}
    found = as_set(find_near(keys, Search(threshold)))
    assert len(found & wanted) >= 0.98 * len(wanted)
    assert all(jaccard(keys[i], keys[j]) >= threshold for i, j in found)
