"""Duplicates within and across splits, and answers that contradict each other."""

from __future__ import annotations

from rung.core.task import Example
from rung.data.duplicates import find_duplicates, without_copies


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
    assert [kept.id for kept in without_copies(train, [example("3", "a B!")])] == ["2"]
