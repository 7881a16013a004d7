"""The work files: what a log means, who may label what, agreement, and the finished rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rung.core.errors import DataError, UsageError
from rung.core.task import Document
from rung.data.record import Record, Turn
from rung.experiment.annotating import desk as desk_room
from rung.experiment.annotating.agreement import agreement_of, disagreements
from rung.experiment.annotating.desk import Desk, Setup, Share, Writer, is_shared
from rung.experiment.annotating.exchange import take_in
from rung.experiment.annotating.finish import finished
from rung.experiment.annotating.passages import passage_finder
from rung.experiment.annotating.queue import Queue

LABELS = ("delivery", "refund")


def rows(n: int = 6) -> list[Record]:
    return [Record(id=f"r{i}", inputs={"text": f"question number {i}"}) for i in range(n)]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path / "labelling")
    found.settle(Setup(labels=LABELS, overlap=1.0))
    return found


def label(desk: Desk, who: str, records: Sequence[Record], answers: Sequence[str]) -> None:
    with Writer(desk, who) as writer:
        for record, answer in zip(records, answers, strict=True):
            writer.label(record, answer)


def holds(desk: Desk, who: str, records: Sequence[Record], overlap: float, *, again: bool = False) -> list[str]:
    share = Share.of(desk, who, Setup(overlap=overlap), again=again)
    return [record.id for record in records if share.holds(record)]


def test_a_log_read_again_says_what_was_said(desk: Desk) -> None:
    first, second, third, *_ = rows()
    with Writer(desk, "anna") as writer:
        writer.label(first, "delivery", seconds=4.0)
        writer.label(second, "refund")
        writer.skip(third)
        writer.note(third, "two questions in one")
        writer.flag(second)
        assert writer.undo() == "r2"
        assert writer.undo() == "r1"
        writer.label(second, "delivery", seconds=8.0)
    sheet = desk.sheet("anna")
    assert {id: given.answer for id, given in sheet.given.items()} == {"r0": "delivery", "r1": "delivery"}
    assert sheet.skipped == {}
    assert sheet.notes == {"r2": ["two questions in one"]}
    assert list(sheet.flags) == ["r1"]
    assert sheet.seconds_a_row == 8.0


def test_half_a_line_of_a_killed_session_is_set_aside(desk: Desk) -> None:
    label(desk, "anna", rows(2), ["delivery", "refund"])
    with desk.log_path("anna").open("a", encoding="utf-8") as file:
        file.write('{"do": "label", "id": "r2", "ans')
    assert set(desk.sheet("anna").given) == {"r0", "r1"}
    label(desk, "anna", rows()[3:4], ["refund"])
    assert set(desk.sheet("anna").given) == {"r0", "r1", "r3"}


def test_a_damaged_line_is_named(desk: Desk) -> None:
    desk.folder.mkdir(parents=True, exist_ok=True)
    desk.log_path("anna").write_text('{"do": "label", "id": "r1"}\n', "utf-8")
    with pytest.raises(DataError) as caught:
        desk.sheet("anna")
    assert caught.value.code == "E2950"


@pytest.mark.parametrize("name", ["", "../anna", "a/b", ".anna", "x" * 61])
def test_a_name_that_is_no_file_name_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        desk.log_path(name)
    assert caught.value.code == "E2951"


@pytest.mark.parametrize("name", ["anna", "安娜", "a.b@example.org"])
def test_names_of_people_are_names(desk: Desk, name: str) -> None:
    label(desk, name, rows(1), ["refund"])
    assert desk.annotators() == [name]


def test_a_shared_row_goes_to_two_and_any_other_to_one(desk: Desk) -> None:
    records = rows(3)
    label(desk, "anna", records[:2], ["refund", "refund"])
    assert holds(desk, "bo", records, 0.0) == ["r2"]
    assert holds(desk, "bo", records, 1.0) == ["r0", "r1", "r2"]
    label(desk, "bo", records[:1], ["refund"])
    assert holds(desk, "chen", records, 1.0) == ["r1", "r2"]


def test_the_shared_part_grows_and_never_changes() -> None:
    ids = [f"r{n}" for n in range(2000)]
    small = {id for id in ids if is_shared(id, 0.2)}
    assert 340 < len(small) < 460
    assert small < {id for id in ids if is_shared(id, 0.5)}
    assert not any(is_shared(id, 0.0) for id in ids)
    assert all(is_shared(id, 1.0) for id in ids)


def test_a_row_on_a_screen_is_held_for_a_while(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    records = rows(2)
    writer = Writer(desk, "anna")
    writer.open(records[0])
    assert holds(desk, "bo", records, 0.0) == ["r1"]
    # Anna's machine died: her row comes back in time.
    monkeypatch.setattr(desk_room, "HELD_SECONDS", 0.0)
    assert holds(desk, "bo", records, 0.0) == ["r0", "r1"]
    monkeypatch.undo()
    writer.__exit__()
    assert holds(desk, "bo", records, 0.0) == ["r0", "r1"]


def test_a_label_of_a_text_that_has_changed_does_not_count(desk: Desk) -> None:
    records = rows(2)
    label(desk, "anna", records, ["refund", "refund"])
    changed = [records[0].model_copy(update={"inputs": {"text": "another question"}}), records[1]]
    assert holds(desk, "anna", changed, 1.0) == ["r0"]
    found = finished(desk, changed)
    assert [row.answer for row in found.records] == ["", "refund"]
    assert found.step.counts["stale"] == 1


def test_skipped_rows_come_back_when_asked_for(desk: Desk) -> None:
    records = rows(2)
    with Writer(desk, "anna") as writer:
        writer.skip(records[0])
    assert holds(desk, "anna", records, 1.0) == ["r1"]
    assert holds(desk, "anna", records, 1.0, again=True) == ["r0", "r1"]


# Agreement and decisions


def test_agreement_counts_what_two_people_said(desk: Desk) -> None:
    records = rows(20)
    anna = ["delivery"] * 10 + ["refund"] * 10
    bo = ["Delivery"] * 9 + ["refund"] * 10 + ["delivery"]
    label(desk, "anna", records, anna)
    label(desk, "bo", records, bo)
    found = agreement_of(desk, records)
    assert (found.shared, found.agreed) == (20, 18)
    assert found.pairs[0].kappa.value == pytest.approx(0.8)
    assert found.alpha.value == pytest.approx(0.805)
    assert found.alpha.low < found.alpha.value < found.alpha.high
    assert [(item.labels, item.count) for item in found.confusions] == [(("delivery", "refund"), 2)]
    assert json.loads(json.dumps(found.to_json()))["pairs"][0]["annotators"] == ["anna", "bo"]


def test_one_annotator_alone_has_no_agreement(desk: Desk) -> None:
    label(desk, "anna", rows(3), ["refund"] * 3)
    found = agreement_of(desk, rows(3))
    assert found.shared == 0
    assert found.to_json()["alpha"]["value"] is None


def test_finished_rows_hold_who_said_what_and_one_answer(desk: Desk) -> None:
    records = rows(5)
    records[0] = records[0].model_copy(update={"answers": ("delivery",)})
    label(desk, "anna", records[:4], ["refund", "refund", "delivery", "refund"])
    label(desk, "bo", records[:3], ["refund", "delivery", "refund"])
    assert [item.record.id for item in disagreements(desk, records)] == ["r1", "r2"]
    desk.decide("r1", "delivery", "chen")
    assert [item.record.id for item in disagreements(desk, records)] == ["r2"]
    found = finished(desk, records)
    assert [row.answer for row in found.records] == ["refund", "delivery", "", "refund", ""]
    assert found.records[1].labelled == {"anna": "refund", "bo": "delivery"}
    assert found.step.name == "label"
    expected = {"labelled": 4, "agreed": 1, "single": 1, "adjudicated": 1, "disagreed": 1, "changed": 1}
    assert expected.items() <= found.step.counts.items()
    assert found.open == 1
    again = finished(desk, found.records)
    assert again.records == found.records


def test_the_answer_of_a_dialogue_is_its_last_turn(desk: Desk) -> None:
    talk = Record(id="d", messages=(Turn(role="user", content="hello?"), Turn(role="assistant", content="hm")))
    label(desk, "anna", [talk], ["refund"])
    row = finished(desk, [talk]).records[0]
    assert row.answer == "refund"
    assert row.messages[0] == talk.messages[0]


def test_labels_of_another_tool_count_once(desk: Desk) -> None:
    records = rows(4)
    file = [
        Record(id="r0", inputs={"text": "question number 0"}, answers=("refund",)),
        Record(id="17", inputs={"text": "question number 1"}, labelled={"bo": "delivery"}),
        Record(id="r2", inputs={"text": "question number 2"}, answers=("nonsense",)),
        Record(id="r3", inputs={"text": "question number 3"}),
        Record(id="99", inputs={"text": "never seen"}, answers=("refund",)),
    ]
    for _ in range(2):
        found = take_in(desk, records, file, "imported")
        assert (found.taken, found.unknown, found.unlabelled, found.off_list) == (2, ("99",), 1, ("nonsense",))
    assert len(desk.log_path("bo").read_text("utf-8").splitlines()) == 1
    assert desk.sheet("imported").given["r0"].answer == "refund"


# The queue


def test_rows_without_an_answer_come_before_those_with_one(desk: Desk) -> None:
    records = [r.model_copy(update={"answers": ("refund",)}) if n < 3 else r for n, r in enumerate(rows(6))]
    queue = Queue(desk, records, "anna", Setup(labels=LABELS, overlap=0.0))
    first = [row.record.id for row in queue.next_rows(3)]
    assert set(first) == {"r3", "r4", "r5"}
    label(desk, "anna", [r for r in records if r.id in first], ["refund"] * 3)
    assert {row.record.id for row in queue.next_rows(9)} == {"r0", "r1", "r2"}


def test_the_order_asks_about_what_the_labels_so_far_leave_open(desk: Desk) -> None:
    words = {"delivery": "parcel late courier", "refund": "money back card", "login": "password account locked"}
    records = [
        Record(id=f"{name}{n}", inputs={"text": f"{text} {n} please"})
        for name, text in words.items()
        for n in range(30)
    ]
    known = [r for r in records if r.id in {f"{name}{n}" for name in ("delivery", "refund") for n in range(4)}]
    label(desk, "anna", known, [r.id.rstrip("0123456789") for r in known])
    queue = Queue(desk, records, "anna", Setup(labels=(*LABELS, "login"), overlap=0.0))
    share = np.mean([row.record.id.startswith("login") for row in queue.next_rows(10)])
    assert share > 1 / 3


def test_rows_of_test_and_shared_rows_are_never_led(desk: Desk) -> None:
    records = [r.model_copy(update={"split": "test"}) if n < 3 else r for n, r in enumerate(rows(6))]
    alone = Queue(desk, records, "anna", Setup(overlap=0.0, order="random")).next_rows(6)
    assert {row.record.id: row.led for row in alone} == {f"r{n}": n >= 3 for n in range(6)}
    assert not any(row.led for row in Queue(desk, records, "anna", Setup(overlap=1.0, order="given")).next_rows(6))


def test_the_passage_beside_a_row() -> None:
    text = "# Deposits\n\nThe deposit is four weeks' rent.\n\n# Repairs\n\nBoilers are mended within two days."
    find = passage_finder([Document("notes.md", "Notes", text)])
    assert find(Record(id="a", inputs={"q": "x"}, source="notes.md#12-28")) == text[12:28]
    assert "Boilers" in find(Record(id="b", inputs={"q": "How soon are boilers mended?"}, documents=("notes.md",)))
    assert find(Record(id="c", inputs={"q": "x"}, documents=("other.md",))) == ""
