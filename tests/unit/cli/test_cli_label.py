"""`rung label` as an annotator uses it: keys in, answers on disk, agreement, decisions and a finished version."""

from __future__ import annotations

import io
import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_task import LABELS, QUESTIONS, scripted, write_task

import rung as library
from rung.cli import main
from rung.cli.label_loop import Labels, Said
from rung.core.errors import UsageError
from rung.data.record import Record
from rung.data.versions.dataset import DataSet
from rung.data.versions.version import Step
from rung.experiment.annotating.desk import Desk
from rung.experiment.run import run_task

ROWS = 8


@dataclass(frozen=True)
class Spoken:
    code: int
    out: str
    err: str


Rung = Callable[..., Spoken]


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rung:
    """The command as a user calls it, in a folder of its own; `keys` is what is typed."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNG_LANG", "en")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, keys: str = "") -> Spoken:
        monkeypatch.setattr(sys, "argv", ["rung", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
        with pytest.raises(SystemExit) as caught:
            main.main()
        said = capsys.readouterr()
        return Spoken(int(caught.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def dataset(tmp_path: Path) -> DataSet:
    found = DataSet(tmp_path / "desk")
    commit(found, [Record(id=f"r{n}", inputs={"text": QUESTIONS[n]}) for n in range(ROWS)])
    return found


def commit(dataset: DataSet, records: Sequence[Record]) -> None:
    dataset.commit(records, [Step(name="import", rows_after=len(records))])


def given(who: str = "anna", folder: str = "desk") -> dict[str, str]:
    return {id: answer.answer for id, answer in Desk(Path(folder) / "labelling").sheet(who).given.items()}


def start(rung: Rung, keys: str, *more: object, who: str = "anna") -> Spoken:
    return rung("label", "desk", "--annotator", who, "--labels", ",".join(LABELS), *more, keys=keys)


def test_numbers_names_and_beginnings_are_labels(rung: Rung, dataset: DataSet) -> None:
    said = start(rung, "1\nREPAIRS\nren\nre\n3\n")
    assert said.code == 0
    assert list(given().values()) == ["deposit", "repairs", "rent", "rent"]
    assert "Several labels begin like that: repairs, rent" in said.err
    assert f"4 done now, {ROWS - 4} left for anna" in said.err
    assert said.out == ""


def test_a_session_goes_on_where_it_stopped_and_shows_no_row_twice(rung: Rung, dataset: DataSet) -> None:
    start(rung, "1\nq\n")
    said = rung("label", "desk", "--annotator", "anna", "--batch", 3, keys="2\n" * 20)
    assert f"--- 1 of {ROWS - 1}" in said.err
    assert f"{ROWS - 1} done now, 0 left" in said.err
    assert len(given()) == ROWS
    assert list(given().values()).count("deposit") == 1


def test_undo_takes_back_even_what_an_earlier_session_said(rung: Rung, dataset: DataSet) -> None:
    start(rung, "1\n1\nq\n")
    first, second = given()
    start(rung, "u\n2\nu\nu\n3\nq\n")
    assert given() == {first: "rent"}
    assert second not in given()
    assert "There is nothing to take back." in start(rung, "u\nu\nq\n", who="bo").err


def test_notes_flags_and_skips_are_kept(rung: Rung, dataset: DataSet) -> None:
    said = start(rung, "n two questions in one\nf\ns\nl\nq\n", "--order", "given")
    assert "Noted." in said.err
    assert "Flagged" in said.err
    sheet = Desk(Path("desk/labelling")).sheet("anna")
    assert sheet.notes == {"r0": ["two questions in one"]}
    assert list(sheet.skipped) == list(sheet.flags) == ["r0"]
    start(rung, "s\n1\nq\n", "--again")
    assert list(given()) == ["r1"]


def test_the_guideline_is_shown_and_kept_for_the_next_annotator(rung: Rung, dataset: DataSet) -> None:
    Path("guide.txt").write_text("Money first.\x1b[2J", "utf-8")
    assert "Money first.\ufffd[2J" in start(rung, "q\n", "--guideline", "guide.txt").err
    assert "Money first." in rung("label", "desk", "--annotator", "bo", keys="q\n").err


def test_free_text_takes_any_line_and_slashes_are_commands(rung: Rung, dataset: DataSet) -> None:
    said = rung("label", "desk", "--annotator", "anna", keys="four weeks' rent\ns\n/s\n\n/q\n")
    assert list(given().values()) == ["four weeks' rent", "s"]
    assert len(Desk(Path("desk/labelling")).sheet("anna").skipped) == 1
    assert "That means nothing here." in said.err


def test_two_people_agreement_decision_and_a_new_version(rung: Rung, dataset: DataSet) -> None:
    start(rung, "1\n" * 4 + "2\n" * 4, "--overlap", 1, "--order", "given")
    rung("label", "desk", "--annotator", "bo", keys="1\n" * 4 + "2\n" * 3 + "3\n")
    said = rung("label", "agreement", "desk")
    assert "over 8 shared rows, 7 with the same label" in said.out
    assert "1 times rent against repairs" in said.out.replace("repairs against rent", "rent against repairs")
    found = json.loads(rung("label", "agreement", "desk", "--json").out)
    assert found["pairs"][0]["value"] == pytest.approx(0.784, abs=0.01)
    assert found["led"] == 0
    said = rung("label", "adjudicate", "desk", "--by", "chen", keys="9\n2\n")
    assert "1 decided, 0 left" in said.err
    assert "(anna)" in said.err
    said = rung("label", "finish", "desk")
    assert "8 rows labelled: 7 agreed, 0 by one person, 1 adjudicated" in said.err
    assert said.out.strip() == dataset.current
    rows = dataset.read()
    assert [row.answer for row in rows] == ["deposit"] * 4 + ["repairs"] * 3 + ["rent"]
    assert rows[7].labelled == {"anna": "repairs", "bo": "rent"}
    assert dataset.version().steps[0].counts["adjudicated"] == 1


def test_labels_go_to_label_studio_and_doccano_and_come_back(rung: Rung, dataset: DataSet) -> None:
    for tool, suffix in (("label-studio", "json"), ("doccano", "jsonl")):
        labelled = [row.model_copy(update={"answers": (LABELS[n % 3],)}) for n, row in enumerate(dataset.read())]
        other = DataSet(Path(f"other-{tool}"))
        commit(other, labelled)
        assert rung("label", "export", f"other-{tool}", f"out.{suffix}", "--format", tool).code == 0
        said = rung("label", "import", "desk", f"out.{suffix}", "--annotator", f"by-{tool}")
        assert said.code == 0, said.err
        assert "8 rows taken in" in said.out
        assert list(given(f"by-{tool}").values()) == [LABELS[n % 3] for n in range(ROWS)]


def test_what_cannot_be_is_said_with_its_code(rung: Rung, dataset: DataSet) -> None:
    for arguments, code in (
        (("label", "desk", "--annotator", "../anna"), "E2951"),
        (("label", "desk", "--annotator", "anna", "--overlap", "3"), "E2952"),
        (("label", "desk", "--annotator", "anna", "--order", "wild"), "E2952"),
        (("label", "finish", "desk"), "E2955"),
        (("label", "agreement", "desk"), "E2955"),
    ):
        said = rung(*arguments)
        assert code in said.err
        assert said.code == 2


def test_programs_label_as_the_terminal_does(rung: Rung, dataset: DataSet) -> None:
    first, second = library.next_rows("desk", "anna", 2)
    library.record_label("desk", "anna", first.record.id, "rent")
    assert given() == {first.record.id: "rent"}
    assert second.record.id not in given()
    with pytest.raises(UsageError) as caught:
        library.record_label("desk", "anna", "nobody", "rent")
    assert caught.value.code == "E2953"
    start(rung, "q\n")
    with pytest.raises(UsageError) as wrong:
        library.record_label("desk", "anna", "r0", "weather")
    assert wrong.value.code == "E2954"


def test_a_candidate_suggests_except_where_two_label_or_the_row_is_of_test(rung: Rung, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", models=[scripted("careful")])
    run = run_task(task, runs=tmp_path / "runs")
    records = [Record(id=f"n{n}", inputs={"question": QUESTIONS[n]}) for n in range(6)]
    records += [Record(id="t", inputs={"question": QUESTIONS[7]}, split="test")]
    commit(DataSet(tmp_path / "desk"), records)
    led = ("--from", run.path, "--candidate", run.candidates()[0], "--overlap", 0)
    said = rung("label", "desk", "--annotator", "anna", "--labels", ",".join(LABELS), *led, keys="\n" * 6)
    assert said.err.count("90% sure") == 6
    assert given() == {f"n{n}": LABELS[n % 3] for n in range(6)}
    assert Desk(Path("desk/labelling")).sheet("anna").given["n0"].suggestion == LABELS[0]
    assert not any("suggestion" in part for part in said.err.split("--- ") if QUESTIONS[7] in part)
    blind = rung("label", "desk", "--annotator", "bo", *led[:4], "--overlap", 1, keys="q\n")
    assert "suggestion" not in blind.err


def test_a_task_gives_labels_and_instruction_and_keeps_its_test_rows_shut(rung: Rung, tmp_path: Path) -> None:
    task = write_task(tmp_path / "task", data={"examples": "questions.csv", "id": "id", "test_share": 0.5})
    said = rung("label", task, "--annotator", "anna", "--overlap", 0, keys="q\n")
    assert "Name the topic of the question." in said.err
    assert "1 deposit" in said.err
    total = int(said.err.split("--- 1 of ")[1].split()[0])
    assert 0 < total <= len(QUESTIONS) // 2 + 3


@pytest.mark.parametrize(
    ("names", "typed", "meant"),
    [
        (("1", "2"), "2", Said("label", "2")),
        (("yes", "s"), "s", Said("label", "s")),
        (("yes", "no"), "s", Said("skip")),
        (("yes", "no"), "/s", Said("skip")),
        (("yes", "no"), "n", Said("note")),
        (("yes", "no"), "3", Said("unknown", "")),
        (("好", "不好"), "不", Said("label", "不好")),
        ((), "s", Said("label", "s")),
        ((), "2", Said("label", "2")),
        ((), "/n check this", Said("note", "check this")),
        ((), "/path is wrong", Said("label", "/path is wrong")),
        ((), "", Said("accept")),
    ],
)
def test_what_a_line_means(names: tuple[str, ...], typed: str, meant: Said) -> None:
    assert Labels(names).meant(typed + "\n") == meant
