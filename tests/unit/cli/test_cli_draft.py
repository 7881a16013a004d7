"""`rung data draft`: rows in a data set, a word on every pair that was refused, and no call twice."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_task import count_asked, write_task

from rung.cli import main
from rung.data.versions.dataset import DataSet

NOTE = (
    "The garden fee of the house is 12 crowns a month. It is paid to the caretaker before the first Sunday, "
    "and whoever does not use the garden pays nothing at all for it."
)
WRITTEN = "Q: How much is the garden fee?\nA: 12 crowns a month\nQ: What is this text about?\nA: the garden fee"


@dataclass(frozen=True)
class Spoken:
    code: int
    out: str
    err: str


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Spoken]:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNG_LANG", "en")
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    Path("notes").mkdir()
    Path("notes/garden.md").write_text(NOTE, "utf-8")
    model = {"kind": "fake", "id": "writer", "options": {"default": WRITTEN}}
    output = {"kind": "text", "column": "topic", "abstain": "Not said."}
    write_task(tmp_path, models=[model], output=output, metrics=["token_f1"])

    def call(*arguments: object) -> Spoken:
        monkeypatch.setattr(sys, "argv", ["rung", "data", "draft", "notes", "--to", "desk", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main.main()
        said = capsys.readouterr()
        return Spoken(int(caught.value.code or 0), said.out, said.err)

    return call


def test_rows_are_kept_and_the_rest_is_told(rung: Callable[..., Spoken], monkeypatch: pytest.MonkeyPatch) -> None:
    said = rung("--model", "task.yaml", "--split", "train", "--licence", "own")
    assert said.code == 0, said.err
    assert "2 pairs drafted, 1 kept (50%), 1 rows written" in said.err
    assert "speaks of the text instead of its subject: 1" in said.err
    dataset = DataSet(Path("desk"))
    assert said.out.strip() == dataset.current
    (row,) = dataset.read()
    assert (row.question, row.answer, row.synthetic, row.split) == (
        "How much is the garden fee?",
        "12 crowns a month",
        True,
        "train",
    )
    version = dataset.version()
    assert version.synthetic == 1
    assert version.steps[0].name == "draft"
    assert [(source.name, source.rows, source.licence) for source in version.sources] == [("notes/garden.md", 1, "own")]
    asked = count_asked(monkeypatch)
    again = rung("--model", "task.yaml", "--split", "train", "--licence", "own", "--json")
    assert asked.calls == 0
    found = json.loads(again.out)
    assert (found["added"], found["version"], found["kept"], found["new_calls"]) == (0, None, 1, 0)
    assert len(dataset.log()) == 1


def test_the_abstain_text_of_a_task_is_used(rung: Callable[..., Spoken]) -> None:
    Path("notes/cellar.md").write_text(NOTE.replace("garden", "cellar").replace("12", "17"), "utf-8")
    said = rung("--model", "task.yaml", "--kinds", "unanswerable")
    assert said.code == 0, said.err
    (row,) = DataSet(Path("desk")).read()
    assert row.answer == "Not said."
    assert "cellar" in row.inputs["passages"]


def test_drafted_rows_are_never_asked_for_in_test(rung: Callable[..., Spoken]) -> None:
    said = rung("--model", "task.yaml", "--split", "test")
    assert said.code == 2
    assert "E2952" in said.err
    assert not Path("desk").exists()


def test_an_unknown_kind_is_named(rung: Callable[..., Spoken]) -> None:
    said = rung("--model", "task.yaml", "--kinds", "answerable,riddle")
    assert said.code == 2
    assert "riddle" in said.err
