"""Leaks beside copies: documents, groups, times, other data sets; and splits that keep near copies and times apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rung.core.errors import DataError
from rung.core.task import Document, Example
from rung.data.leakage.copies import CopySearch, find_duplicates
from rung.data.leakage.elsewhere import read_elsewhere
from rung.data.leakage.leaks import Around, find_leaks
from rung.data.leakage.quoted import answers_in, find_quotes, questions_in
from rung.data.leakage.times import read_time, read_times
from rung.data.split import NAMES, SplitSpec, make_split


def example(id: str, text: str, *answers: str, group: str = "") -> Example:
    return Example(id, {"text": text}, answers or ("a",), group)


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("2024-03-05", "2024/3/5"),
        ("2024-03-05", "2024年3月5日"),
        ("2024-03-05 14:30", "2024年3月5日 14时30分"),
        ("2024-03-05T14:30:00Z", "2024.03.05 14:30:00"),
        ("2024-03-05T14:30:00+08:00", "2024-03-05 06:30"),
        ("1709649000", "1709649000000"),
        ("2024", "2024-01"),
    ],
)
def test_times_as_people_write_them(written: str, same: str) -> None:
    assert read_time(written) is not None
    assert read_time(written) == read_time(same)


@pytest.mark.parametrize("text", ["", "03/05/2024", "yesterday", "2024-13-01", "20240305123", "NaN"])
def test_what_is_no_time_or_two_is_refused(text: str) -> None:
    assert read_time(text) is None
    with pytest.raises(DataError) as caught:
        read_times({"7": text, "8": "2024-01-01"})
    assert caught.value.code == "E2182"
    assert "7" in str(caught.value)


def test_train_later_than_test_is_said() -> None:
    splits = {"train": [example("1", "one thing"), example("2", "another")], "test": [example("3", "something else")]}
    times = read_times({"1": "2024-01-01", "2": "2024-06-01", "3": "2024-03-01"})
    (finding,) = [f for f in find_leaks(splits, around=Around(times=times)).leaks if f.code == "E2176"]
    assert finding.rows == ("2",)
    assert "2024-03-01" in finding.message()
    times["2"] = times["1"]
    assert not find_leaks(splits, around=Around(times=times)).leaks


def test_a_group_in_two_splits_is_said() -> None:
    splits = {
        "train": [example("1", "one thing", group="ann"), example("2", "another", group="bob")],
        "test": [example("3", "something else", group="ann"), example("4", "no group at all")],
    }
    (finding,) = find_leaks(splits).leaks
    assert (finding.code, finding.rows, finding.values["n"]) == ("E2177", ("3",), 1)


def test_every_held_out_row_counts_once_under_its_strictest_kind() -> None:
    splits = {
        "train": [example("1", "where can I park my old car"), example("2", "where can I park my old car!")],
        "dev": [example("3", "unlike all others")],
        "test": [example("4", "where can I park my old car"), example("5", "where can I park my old cat")],
    }
    (finding,) = find_leaks(splits).leaks
    assert (finding.code, set(finding.rows)) == ("E2175", {"4", "5"})
    assert [finding.values[kind] for kind in ("exact", "normalised", "near", "semantic")] == [1, 0, 1, 0]


def test_a_question_beside_its_answer_in_a_document_is_a_leak_and_an_answer_alone_is_not() -> None:
    documents = [
        Document("faq.md", "", "Intro.\n\n**When do I get my deposit back?**\n\nWithin 30 days of moving out.\n"),
        Document("押金.md", "", "常见问题\n押金什麼時候退還給我？\n答：搬離後三十天內。"),
        Document("law.md", "", "The landlord returns the deposit within 30 days of moving out, less what is owed."),
    ]
    asked = [
        example("1", "when do I get my deposit back", "within 30 days of moving out"),
        example("2", "押金什么时候退还给我", "搬离后三十天内"),
        example("3", "When is the deposit paid back?", "within 30 days of moving out"),
        example("4", "when do I get my deposit back", "the moon"),
        example("5", "Intro", "x"),
    ]
    found = {q.id: (q.document, q.answered) for q in questions_in(asked, documents)}
    assert found == {"1": ("faq.md", True), "2": ("押金.md", True), "4": ("faq.md", False)}
    assert answers_in(asked, documents) == ("1", "3")
    report = find_leaks({"test": asked}, CopySearch(near=None), Around(documents))
    codes = {f.code: f.rows for f in report.findings}
    assert codes["E2178"] == ("1", "2")
    assert codes["E2179"] == ("1", "3")
    assert "E2179" not in {f.code for f in report.leaks}


def test_quotes_of_every_length_are_found_where_they_stand() -> None:
    text = "".join(chr(97 + (n * n + n // 7) % 26) for n in range(900))
    keys = [text[at : at + width] for at in (0, 400, 820) for width in (6, 11, 12, 23, 24, 47, 48, 80)] + [
        "zz",
        text + "z",
    ]
    found = {quote.text: quote.at for quote in find_quotes(keys, {"d": text})}
    assert found == {n: text.find(key) for n, key in enumerate(keys[:-2])}


def test_other_data_sets_are_searched_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(
        json.dumps({"paragraphs": [{"qas": [{"question": "Where can I park my old cat?"}]}], "n": 5}) + "\n", "utf-8"
    )
    (tmp_path / "c.csv").write_text("q,a\n完全不相关的一个问题,是\n", "utf-8")
    (tmp_path / "d.txt").write_text("short\nWHERE IS THE BUS STOP\n", "utf-8")
    (tmp_path / "e.bin").write_bytes(b"\x00\x01")
    others = read_elsewhere(tmp_path)
    assert set(others) == {"b.jsonl", "c.csv", "d.txt"}
    ours = {"test": [example("1", "where can I park my old car"), example("2", "Where is the bus stop?")]}
    report = find_leaks(ours, around=Around(others=others))
    assert {(p.first.id, p.second.split, p.second.id, p.kind) for p in report.contamination} == {
        ("1", "b.jsonl", "1/paragraphs/0/qas/0/question", "near"),
        ("2", "d.txt", "2", "normalised"),
    }
    assert [f.code for f in report.leaks] == ["E2180", "E2180"]
    with pytest.raises(DataError) as caught:
        read_elsewhere(tmp_path / "e.bin")
    assert caught.value.exit_code == 3


def near_twins(n: int) -> list[Example]:
    words = ("key", "lamp", "door", "roof", "tap", "heat", "wall", "bin", "lift", "yard")
    found = []
    for i in range(n):
        text = f"{words[i % 10]} {words[(i // 10) % 10]} {words[i // 100 % 10]} needs somebody to look at it {'abcdefghij'[i % 7]}"
        found += [example(f"{i}a", text), example(f"{i}b", text + " now")]
    return found


def test_near_copies_stay_together_in_an_own_split() -> None:
    examples = near_twins(150)
    splits = make_split(examples, SplitSpec())
    parts = {name: splits.pick(name, examples) for name in NAMES}
    home = {e.id: name for name, part in parts.items() for e in part}
    assert all(home[f"{i}a"] == home[f"{i}b"] for i in range(150))
    assert not [p for p in find_duplicates(parts, CopySearch()).across if p.score > 0.85]
    assert make_split(examples[::-1], SplitSpec()) == splits


def test_templates_do_not_grow_into_one_block() -> None:
    names = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrst"]
    examples = [
        example(str(n), f"please tell me what the capital city of {name} is called") for n, name in enumerate(names)
    ]
    splits = make_split(examples, SplitSpec())
    assert [len(splits[name].ids) / len(examples) for name in NAMES] == pytest.approx([0.5, 0.2, 0.3], abs=0.1)


def test_a_split_by_time_tests_on_the_latest() -> None:
    examples = [example(f"e{n}", f"{chr(97 + n % 26) * 4} {chr(97 + n // 26) * 5}") for n in range(200)]
    times = {e.id: float((n * 37) % 200) for n, e in enumerate(examples)}
    splits = make_split(examples, SplitSpec(), times=times)
    ends = {name: [times[id] for id in splits[name].ids] for name in NAMES}
    assert [len(ends[name]) for name in NAMES] == [100, 40, 60]
    assert max(ends["train"]) < min(ends["dev"])
    assert max(ends["dev"]) < min(ends["test"])
    assert make_split(examples[::-1], SplitSpec(), times=times) == splits
    assert not [f for f in splits.findings if f.code == "E2176"]
