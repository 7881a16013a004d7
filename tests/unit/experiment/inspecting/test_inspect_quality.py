"""The whole check: what applies is measured, test stays apart, and vectors are kept."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from letter_encoder import LetterEncoder

from rung.core.errors import DataError
from rung.data.record import Record
from rung.experiment.inspecting.inspect import Settings, inspect_quality
from rung.experiment.inspecting.material import Material, file_material, kind_of, record_material, task_material
from rung.experiment.inspecting.vectors import encoded_vectors

WORDS = {
    "deposit": ("deposit back", "deposit paid", "my deposit", "deposit money"),
    "repairs": ("boiler broken", "window repair", "fix the heating", "repair the roof"),
    "rent": ("rent is high", "pay the rent", "rent increase", "monthly rent"),
}
WRONG = {"train": "w-train", "test": "w-test"}


def desk() -> Material:
    """120 clear rows, and a wrong label in train and in test."""
    rng = np.random.default_rng(5)
    records = []
    for n in range(120):
        label = list(WORDS)[n % 3]
        first, second = rng.choice(WORDS[label], 2)
        split = "test" if n % 4 == 3 else "train"
        records.append(
            Record(id=f"r{n}", inputs={"q": f"{first} and {second} case {n}"}, answers=(label,), split=split)
        )
    for split, id in WRONG.items():
        # Another topic in test, or the wrong row of train would have taught it.
        about = {
            "train": "deposit back, deposit paid and deposit money",
            "test": "boiler broken, window repair and fix the heating",
        }
        question = f"{about[split]} {split}"
        records.append(
            Record.model_validate({"id": id, "inputs": {"q": question}, "answers": ("rent",), "split": split})
        )
    return record_material("desk", records)


def test_wrong_labels_of_train_are_listed_and_those_of_test_only_apart() -> None:
    found = inspect_quality(desk(), Settings("tfidf", quick=True))
    quality = found.quality
    assert (quality.kind, quality.n, quality.vectors) == ("label", 122, "tfidf")
    first = found.rows[0]
    assert (first.id, first.suggested, first.reasons[0].kind) == (WRONG["train"], "deposit", "label")
    assert {look.split for look in found.rows} == {"train"}
    assert {look.split for look in found.test_rows} == {"test"}
    assert WRONG["test"] in {look.id for look in found.test_rows}
    assert quality.labels is not None
    assert (quality.labels.judged, quality.labels.test_judged) == (91, 31)
    assert quality.labels.head.low is not None
    assert {note.code for note in quality.findings} >= {"E2851", "E2863"}
    assert {skipped.measure for skipped in quality.skipped} == {"agreement", "answers", "coverage"}
    assert quality.volume.curve is not None


def test_changing_test_changes_nothing_that_is_said_of_train() -> None:
    material = desk()
    flipped = [
        record.model_copy(update={"answers": ("repairs",)}) if record.split == "test" else record
        for record in material.records
    ]
    before = inspect_quality(material, Settings("tfidf", quick=True))
    after = inspect_quality(record_material("desk", flipped), Settings("tfidf", quick=True))
    assert before.rows == after.rows
    assert before.quality.volume.curve == after.quality.volume.curve


def test_a_text_task_says_what_does_not_apply(tmp_path: Path) -> None:
    rows = [
        Record(id=str(n), inputs={"q": f"How do I do thing number {n}?"}, answers=(f"By doing step {n}.",))
        for n in range(40)
    ]
    rows[7] = rows[7].model_copy(update={"answers": ("I'm sorry, but I cannot help with that.",)})
    found = inspect_quality(record_material("texts", rows), Settings("tfidf"))
    assert found.quality.labels is None
    assert {s.measure: s.code for s in found.quality.skipped}["labels"] == "E2870"
    assert found.rows[0].id == "7"
    assert found.quality.diversity.topics is not None


def test_few_rows_and_one_label_are_said_and_nothing_is_guessed() -> None:
    rows = [Record(id=str(n), inputs={"q": f"text {n}"}, answers=("a",)) for n in range(9)]
    quality = inspect_quality(record_material("few", rows), Settings("tfidf")).quality
    assert quality.labels is None
    said = {s.measure: s.code for s in quality.skipped}
    assert (said["labels"], said["topics"]) == ("E2877", "E2871")
    with pytest.raises(DataError, match="E2881"):
        inspect_quality(record_material("none", [Record(id="1", inputs={"q": " "})]))


def test_answers_tell_their_kind() -> None:
    assert kind_of(["yes", "no"] * 5) == "label"
    assert kind_of(['{"a": 1}', "{}"]) == "json"
    assert kind_of([f"answer {n}" for n in range(9)]) == "text"
    assert kind_of(["", " "]) == "text"


def test_a_file_and_a_task_of_few_rows_are_read_without_a_split(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "topic"])
        writer.writerows((f"Question {n} about it", "rent" if n % 2 else "repairs") for n in range(8))
    read = file_material(path)
    assert read is not None
    assert (read.name, read.kind, len(read.records)) == ("rows", "label", 8)
    assert {record.split for record in read.records} == {None}
    assert file_material(tmp_path / "rows.docx") is None
    config = {
        "name": "desk",
        "instruction": "Name the topic.",
        "inputs": ["question"],
        "output": {"kind": "label", "column": "topic"},
        "data": {"examples": "rows.csv"},
    }
    (tmp_path / "task.yaml").write_text(json.dumps(config), "utf-8")
    assert len(task_material(tmp_path / "task.yaml").records) == 8


def test_vectors_are_kept_and_only_new_rows_encoded(tmp_path: Path) -> None:
    encoder, keep = LetterEncoder(), tmp_path / "v" / "desk.npz"
    first = encoded_vectors(["a", "b", "a"], encoder, keep=keep)
    assert encoder.encoded == ["a", "b"]
    again = encoded_vectors(["b", "c"], encoder, keep=keep)
    assert encoder.encoded == ["a", "b", "c"]
    assert np.array_equal(again[0], first[1])
    other = LetterEncoder("other@2")
    encoded_vectors(["b"], other, keep=keep)
    assert other.encoded == ["b"]
    keep.write_bytes(keep.read_bytes()[:40])
    encoded_vectors(["b"], other, keep=keep)
    assert other.encoded == ["b", "b"]
