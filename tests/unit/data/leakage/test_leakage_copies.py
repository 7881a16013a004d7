"""Duplicates within and across splits, and answers that contradict each other."""

from __future__ import annotations

import numpy as np

from rung.core.task import Example
from rung.data.leakage.copies import CopySearch, find_duplicates, without_copies


def example(id: str, text: str, *answers: str) -> Example:
    return Example(id, {"text": text}, answers or ("a",))


def test_pairs_say_where_and_how() -> None:
    report = find_duplicates(
        {
            "train": [example("1", "How much?"), example("2", "how much"), example("3", "Other", "b")],
            "test": [
                example("4", "ＨＯＷ ＭＵＣＨ？"),
                example("5", "Other", "c"),
                example("6", "new"),
                example("7", "How much?"),
            ],
        }
    )
    pairs = [(p.first.id, p.second.id, p.kind, p.across, p.conflict) for p in report.pairs]
    assert pairs == [
        ("1", "2", "normalised", False, False),
        ("1", "4", "normalised", True, False),
        ("3", "5", "exact", True, True),
        ("1", "7", "exact", True, False),
        ("4", "7", "normalised", False, False),
    ]
    assert report.affected("test") == {"4", "5", "7"}
    assert report.affected("train") == {"1", "3"}
    assert report.affected("dev") == frozenset()
    counts = report.to_json()
    assert [counts[key] for key in ("exact", "normalised", "within", "across", "conflicts")] == [2, 3, 2, 3, 1]


def test_a_planted_leak_is_always_found() -> None:
    train = [example(str(n), f"Question number {n}, please?") for n in range(1000)]
    test = [example(f"t{n}", f"question number {n} please") for n in range(0, 2000, 2)]
    assert find_duplicates({"train": train, "test": test}).affected("test") == {f"t{n}" for n in range(0, 1000, 2)}


def test_a_text_that_comes_a_thousand_times_does_not_square_the_report() -> None:
    assert len(find_duplicates({"train": [example(str(n), "same") for n in range(1000)]}).pairs) == 999


def test_one_shared_answer_is_no_conflict() -> None:
    examples = [example("1", "q", "Paris", "the capital"), example("2", "q", "paris."), example("3", "q", "Lyon")]
    assert [(p.second.id, p.conflict) for p in find_duplicates({"": examples}).pairs] == [("2", False), ("3", True)]


def test_texts_of_symbols_only_are_not_all_the_same() -> None:
    assert not find_duplicates(
        {"": [example("1", "+"), example("2", "-"), example("3", "👍"), example("4", "👎")]}
    ).pairs


def test_copies_leave_train_and_never_test() -> None:
    train = [example("1", "A b"), example("2", "c")]
    assert [kept.id for kept in without_copies(train, [example("3", "a B!")]).examples] == ["2"]


NEAR = CopySearch()


def test_near_copies_are_paired_with_the_nearest_of_every_split() -> None:
    text = "please tell me how much the deposit for a flat is"
    report = find_duplicates(
        {
            "train": [example("1", text), example("2", text + " here"), example("3", "who repairs the lift")],
            "test": [example("4", text + "s", "b"), example("5", text + "s"), example("6", "is there a cellar")],
        },
        NEAR,
    )
    near = {(p.first.id, p.second.id): (p.across, p.conflict) for p in report.pairs if p.kind == "near"}
    assert near == {("1", "2"): (False, False), ("1", "4"): (True, True), ("1", "5"): (True, False)} | {
        ("2", "4"): (True, True)
    }
    assert report.affected("test") == {"4", "5"}
    assert all(0.8 <= p.score < 1 for p in report.pairs if p.kind == "near")
    assert [(p.first.id, p.second.id) for p in report.conflicts] == [("4", "5")]


def test_across_leaves_pairs_of_one_split_out() -> None:
    train = [example("1", "where is the next bus stop"), example("2", "Where is the next bus stop?")]
    test = [example("3", "where is the next bus stops"), example("4", "where is the next bus stop.")]
    report = find_duplicates({"train": train, "test": test}, CopySearch(across=True))
    assert {(p.first.id, p.second.id, p.kind) for p in report.pairs} == {
        ("1", "4", "normalised"),
        ("1", "3", "near"),
    }


def test_traditional_and_simplified_full_and_half_width_are_the_same() -> None:
    report = find_duplicates(
        {"train": [example("1", "裡面的電腦壞了，怎麼辦？")], "test": [example("2", "里面的电脑坏了,怎么办")]}
    )
    assert [p.kind for p in report.across] == ["normalised"]


def test_vectors_find_what_letters_do_not() -> None:
    splits = {"train": [example("1", "car"), example("2", "tree")], "test": [example("3", "automobile")]}
    vectors = {"train": np.eye(3, dtype=np.float32)[:2], "test": np.array([[0.99, 0.1, 0]], np.float32)}
    report = find_duplicates(splits, CopySearch(near=None, vectors=vectors, close=0.9))
    assert [(p.first.id, p.second.id, p.kind) for p in report.pairs] == [("1", "3", "semantic")]
    assert report.pairs[0].score > 0.99


def test_near_copies_leave_train_unless_they_are_most_of_it() -> None:
    others = [example(str(n), f"{word} {word} is what I ask about") for n, word in enumerate(WORDS)]
    near = example("n", "the oven in my kitchen is broken since friday")
    held = [example("t", "the oven in my kitchen is broken since fridays")]
    kept = without_copies([*others, near], held)
    assert (kept.examples, kept.templated) == (tuple(others), False)
    assert near in without_copies([*others, near], held, near=None).examples
    train = [
        example(str(n), f"the {word} in my kitchen is broken since friday morning") for n, word in enumerate(WORDS)
    ]
    templated = [example(f"h{n}", f"{e.text}s") for n, e in enumerate(train)]
    kept = without_copies(train, [*templated, example("x", train[0].text.upper())])
    assert (kept.examples, kept.templated) == (tuple(train[1:]), True)


WORDS = ("oven", "sink", "lamp", "fridge", "kettle", "window", "heating", "dishwasher", "shelf", "tap")


def test_files_may_use_the_same_ids() -> None:
    near = "where can I park my old car"
    splits = {
        "a": [example("1", near), example("2", near + "s")],
        "b": [example("1", near + "t"), example("2", near + "d")],
    }
    pairs = find_duplicates(splits, NEAR).pairs
    assert {(p.first.split + p.first.id, p.second.split + p.second.id) for p in pairs if p.across} >= {
        ("a1", "b1"),
        ("a1", "b2"),
    }
