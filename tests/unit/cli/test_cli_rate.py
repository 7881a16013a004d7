"""Rating by hand with a scripted keyboard; judging and comparing from the command line, and their exit codes."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rung.cli import main, spoken
from rung.cli.judge import shown
from rung.experiment.judges import judging
from rung.metrics.judge import Judge, Rubric, dimension
from rung.models.fake import FakeModel
from rung.store.comparison import read_comparison
from rung.store.judging import read_tables_of
from rung.store.records import Interval
from rung.store.runs import RunFolder

RUBRIC = Rubric(tuple(dimension(name) for name in ("professional", "specific", "practical")))
QUESTIONS = 12


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Said]:
    """The command as a user calls it, in a folder of its own; `keys` is what is typed."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNG_LANG", "en")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, keys: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["rung", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(keys))
        with pytest.raises(SystemExit) as caught:
            main.main()
        said = capsys.readouterr()
        return Said(int(caught.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Answers of two systems; only the new one's are good."""
    paths = []
    for name, word in (("old", "poor"), ("new", "good")):
        path = tmp_path / f"{name}.jsonl"
        rows = [
            {"id": f"q{i}", "question": f"Q{i}?", "answer": f"{word} {i}", "reference": f"good {i}"}
            for i in range(QUESTIONS)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        paths.append(path)
    return paths


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def screens(err: str) -> list[str]:
    return err.split("--- ")[1:]


# Rating


def test_a_rater_sees_both_answers_and_never_whose_they_are(rung: Callable[..., Said], files: list[Path]) -> None:
    said = rung("rate", *files, "--rater", "mei", keys="t\n" * QUESTIONS)
    assert said.code == 0
    assert len(screens(said.err)) == QUESTIONS
    assert all("poor" in screen and "good" in screen for screen in screens(said.err))
    assert "old" not in said.err
    assert "new" not in said.err
    rows = rows_of(Path("ratings.jsonl"))
    assert {row["preferred"] for row in rows} == {"tie"}
    sides = Counter(row["system_a"] for row in rows)
    assert set(sides) == {"old", "new"}
    assert min(sides.values()) >= 2


def test_the_key_means_the_answer_that_was_shown(rung: Callable[..., Said], files: list[Path]) -> None:
    said = rung("rate", *files, "--rater", "mei", keys="a\n" * QUESTIONS)
    stood_first = re.findall(r"Answer A:\n(\w+)", said.err)
    rows = rows_of(Path("ratings.jsonl"))
    assert [row["a"].split()[0] for row in rows] == stood_first
    for row in rows:
        assert row["preferred"] == "a"
        assert row["a"].split()[0] == {"old": "poor", "new": "good"}[row["system_a"]]


def test_a_session_goes_on_where_it_stopped_and_other_keys_are_asked_again(
    rung: Callable[..., Said], files: list[Path]
) -> None:
    first = rung("rate", *files, "--rater", "mei", keys="a\nx\n\ns\nq\n")
    assert first.code == 0
    assert first.err.count("That key means nothing here.") == 2
    assert f"2 rated, {QUESTIONS - 2} left" in first.err
    rung("rate", *files, "--rater", "mei", keys="b\n" * QUESTIONS)
    rows = rows_of(Path("ratings.jsonl"))
    assert len({row["id"] for row in rows}) == len(rows) == QUESTIONS
    assert Counter(row["preferred"] for row in rows) == {"a": 1, "skip": 1, "b": QUESTIONS - 2}
    over = rung("rate", *files, "--rater", "mei").err
    assert "0 rated, none left" in over
    assert "rung judge calibrate --labels ratings.jsonl" in over
    assert f"--- 1 of {QUESTIONS}" in rung("rate", *files, "--rater", "ana").err


def test_one_rater_has_nobody_to_agree_with_and_two_have(rung: Callable[..., Said], files: list[Path]) -> None:
    alone = rung("rate", *files, "--rater", "mei", keys="a\n" * QUESTIONS)
    assert "One rater" in alone.out
    # Another order on the screen; the same system preferred as often as possible is found by its name.
    rows = rows_of(Path("ratings.jsonl"))
    wins = Counter(row["system_a"] for row in rows)
    assert f"new {wins['new']}, old {wins['old']}, tie 0; raters: 1" in alone.out
    assert "Krippendorff" in rung("rate", *files, "--rater", "ana", keys="b\n" * QUESTIONS).out


def test_controls_in_an_answer_do_not_reach_the_screen(rung: Callable[..., Said], files: list[Path]) -> None:
    rows = rows_of(files[0])
    rows[0]["answer"] = "poor \x1b[2J\x07 0"
    files[0].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert "\x1b" not in rung("rate", *files, "--rater", "mei", keys="t\n" * QUESTIONS).err


def test_nothing_to_rate_is_said(rung: Callable[..., Said], files: list[Path]) -> None:
    said = rung("rate", files[0], files[1], files[0].rename("third.jsonl"), "--rater", "mei")
    assert said.code == 2
    assert rung("rate", "nothing", "--rater", "mei").code == 2


def test_questions_with_one_answer_are_no_choice_and_the_rater_is_told(
    rung: Callable[..., Said], files: list[Path]
) -> None:
    rows = rows_of(files[0])
    for row, other in zip(rows[:5], rows_of(files[1]), strict=False):
        row["answer"] = other["answer"]
    files[0].write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    said = rung("rate", *files, "--rater", "mei", keys="t\n" * QUESTIONS)
    assert "5 questions with the same answer from both are not shown." in said.err
    assert len(screens(said.err)) == QUESTIONS - 5


def test_an_answer_that_both_gave_is_marked_once_for_both(rung: Callable[..., Said], files: list[Path]) -> None:
    files[0].write_text(files[1].read_text("utf-8"), "utf-8")
    said = rung("rate", *files, "--rater", "mei", "--marks", keys="4\n5\n3\n" * (2 * QUESTIONS))
    assert len(screens(said.err)) == QUESTIONS
    rows = rows_of(Path("ratings.jsonl"))
    assert Counter(row["system"] for row in rows) == {"old": QUESTIONS, "new": QUESTIONS}
    assert {row["specific"] for row in rows} == {"5"}
    assert "none left" in rung("rate", *files, "--rater", "mei", "--marks").err


@pytest.mark.parametrize("arguments", [["--lang", "zh"], ["--lang=zh"]])
def test_errors_are_in_the_language_that_was_asked_for(rung: Callable[..., Said], arguments: list[str]) -> None:
    assert "提示：" in rung("compare", "none.jsonl", "nothing.jsonl", *arguments).err
    assert "hint:" in rung("compare", "none.jsonl", "nothing.jsonl").err


# Marks, and the table they make


def compare(rung: Callable[..., Said], files: Sequence[Path], *more: object) -> Said:
    return rung("compare", *files, *more)


def test_marks_of_people_become_the_before_and_after_table_of_the_report(
    rung: Callable[..., Said], files: list[Path]
) -> None:
    assert compare(rung, files).code == 0
    run = RunFolder.existing(Path("runs"))
    blank = rung("rate", run.path, "--rater", "x", "--marks", "--before", "old", "--out", "no.jsonl", keys="q\n")
    assert "names, amounts, dates" in rung("rate", run.path, "--rater", "x", "--marks", keys="3\nq\n").err
    assert len(screens(blank.err)) == 1
    keys = "4\n2\ns\n" * (2 * QUESTIONS)
    said = rung("rate", run.path, "--rater", "mei", "--marks", "--before", "old", keys=keys)
    assert f"{2 * QUESTIONS} rated, none left" in said.err
    (table,) = read_tables_of(run.path)
    assert (table.source, table.raters, table.before, table.after) == ("people", ("mei",), "old", "new")
    assert [row.systems[0].mean.point for row in table.rows] == [4.0, 2.0, None]
    assert [row.pairs for row in table.rows] == [QUESTIONS, QUESTIONS, 0]
    page = (run.path / "report.html").read_text("utf-8")
    assert "Before and after, dimension by dimension" in page
    assert "4.00 (" in page
    assert json.loads((run.path / "report.json").read_text("utf-8"))["dimensions"][0]["source"] == "people"
    assert rung("report", run.path, "--lang", "zh").code == 0
    assert "逐方面对比" in (run.path / "report.html").read_text("utf-8")
    assert "逐方面对比" in (run.path / "report.md").read_text("utf-8")


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """A judge that marks good answers 5 and poor ones 2."""
    model = FakeModel(lambda request: "5" if "good" in request.query.split("Answer to mark")[1] else "2")
    monkeypatch.setattr(judging, "open_judge", lambda *_, **__: Judge(model, RUBRIC))
    return model


def labels(path: Path, n: int = 60) -> Path:
    rows = [
        {"id": f"q{i}", "question": f"Q{i}?", "answer": ("good" if i % 3 else "poor") + f" {i}"}
        | {each.name: 5 if i % 3 else 2 for each in RUBRIC.dimensions}
        for i in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_from_labels_to_a_licence_to_the_report(
    rung: Callable[..., Said], files: list[Path], judged: FakeModel, tmp_path: Path
) -> None:
    assert compare(rung, files).code == 0
    said = rung("judge", "calibrate", "--labels", labels(tmp_path / "labels.jsonl"), "--judge", "task.yaml")
    assert said.code == 0
    assert said.out.count(": licensed") == 3
    shown_table = rung("judge", "score", "runs", "--before", "old")
    assert shown_table.code == 0
    assert "+3.00" in shown_table.out
    page = next(Path("runs").glob("*/report.html")).read_text("utf-8")
    assert "Mean marks by the judge fake" in page


def test_without_enough_labels_nothing_is_shown_and_the_exit_code_says_so(
    rung: Callable[..., Said], files: list[Path], judged: FakeModel, tmp_path: Path
) -> None:
    compare(rung, files)
    said = rung("judge", "calibrate", "--labels", labels(tmp_path / "labels.jsonl", 20))
    assert said.code == 6
    assert "needs 30 more labels" in said.out
    assert "E4322" in said.err
    table = rung("judge", "score", "runs", "--before", "old")
    assert table.out.count("not licensed: needs 30 more labels") == 3
    assert "5.00" not in table.out


def test_a_comparison_shows_a_judge_only_with_its_licence(
    rung: Callable[..., Said], files: list[Path], judged: FakeModel, tmp_path: Path
) -> None:
    bare = compare(rung, files, "--judge", "judge.yaml")
    assert bare.code == 0
    assert bare.err.count("not licensed") == 3
    assert "judge:" not in next(Path("runs").glob("*/report.json")).read_text("utf-8")
    assert compare(rung, files, "--judge", "j.yaml", "--metric", "judge:specific").code == 2
    rung("judge", "calibrate", "--labels", labels(tmp_path / "labels.jsonl"))
    said = compare(rung, files, "--judge", "j.yaml", "--licence", "judge.json", "--runs", "judged")
    assert said.code == 0
    assert "judge:specific" in next(Path("judged").glob("*/report.json")).read_text("utf-8")


def test_a_licence_that_is_named_must_be_there(rung: Callable[..., Said], files: list[Path], judged: FakeModel) -> None:
    assert compare(rung, files).code == 0
    for command in (("judge", "score", "runs", "--judge", "j.yaml"), ("compare", *files, "--judge", "j.yaml")):
        said = rung(*command, "--licence", "nowhere.json")
        assert (said.code, "E1305" in said.err) == (2, True)


# Comparing


def test_the_gates_exit_codes_and_its_one_line(rung: Callable[..., Said], files: list[Path]) -> None:
    passing = compare(rung, files, "--ci", "--baseline", "old")
    assert passing.code == 0
    assert "new is shown to be no worse than old by 2 points" in passing.err
    failing = compare(rung, files, "--ci", "--baseline", "new")
    assert failing.code == 6
    assert "old is shown to be worse than new" in failing.err
    assert "E4321" in failing.err
    assert compare(rung, files, "--ci", "--baseline", "new", "--ci-mode", "lenient").code == 6
    same = [files[0], files[0].with_name("same.jsonl")]
    same[1].write_text(same[0].read_text("utf-8"), "utf-8")
    unclear = compare(rung, same, "--ci", "--baseline", "old")
    assert unclear.code == 6
    assert "questions would settle it" in unclear.err
    assert compare(rung, same, "--ci", "--baseline", "old", "--ci-mode", "lenient").code == 0


def test_a_gate_without_a_baseline_or_with_another_mode_is_a_usage_error(
    rung: Callable[..., Said], files: list[Path]
) -> None:
    assert compare(rung, files, "--ci").code == 2
    assert compare(rung, files, "--baseline", "old").code == 2
    assert compare(rung, files, "--ci", "--baseline", "old", "--ci-mode", "loose").code == 2
    assert compare(rung, files, "--ci", "--baseline", "older").code == 2


def test_the_report_goes_where_it_is_wanted(rung: Callable[..., Said], files: list[Path], tmp_path: Path) -> None:
    said = compare(rung, files, "--out", "gate", "--metric", "token_f1", "--metric", "exact_match", "--lang", "zh")
    assert said.code == 0
    names = {path.name for path in (tmp_path / "gate").iterdir()}
    assert names == {"report.html", "report.md", "report.json", "comparison.json"}
    comparison = read_comparison(tmp_path / "gate")
    assert comparison is not None
    assert comparison.metric == "token_f1"
    assert "Holm 校正后" in said.err


def test_an_interval_is_shown_with_both_ends() -> None:
    assert shown(None) == "-"
    assert shown(Interval(point=0.5, low=0.25, high=0.75)) == "0.50 (0.25..0.75)"


def test_every_word_is_there_in_both_languages() -> None:
    for key, entry in json.loads(Path(spoken.__file__).with_name("words.json").read_text("utf-8")).items():
        assert set(entry) == {"en", "zh"}, key
        assert set(re.findall(r"{\w+}", entry["en"])) == set(re.findall(r"{\w+}", entry["zh"])), key
