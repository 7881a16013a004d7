"""`rung data duplicates` as a user calls it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rung
from rung.cli import main
from rung.data.record import Record
from rung.data.versions.dataset import DataSet
from rung.data.versions.version import Step

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNG_LANG", "en")
    (tmp_path / "a.csv").write_text(
        "text,label\nHow much is the rent?,a\n我的押金什么时候退？,b\nwhere can I park my old car,c\n", "utf-8"
    )
    (tmp_path / "b.csv").write_text(
        "text,label\nhow much is the rent,a\n我的押金什麼時候退,c\nwhere can I park my old cars,c\nsomething else,a\n",
        "utf-8",
    )

    def called(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rung", "data", "duplicates", *map(str, arguments)])
        try:
            main.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def test_two_files_against_each_other(call: Call, tmp_path: Path) -> None:
    code, out, err = call("a.csv", "b.csv", "--out", "pairs.jsonl", "--ci")
    assert code == 6
    assert "E2186" in err
    assert "3 of 4 rows of b.csv" in out
    pairs = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert [(pair["kind"], pair["conflict"]) for pair in pairs] == [
        ("normalised", False),
        ("normalised", True),
        ("near", False),
    ]
    assert pairs[1]["texts"] == ["我的押金什么时候退？", "我的押金什麼時候退"]


def test_without_near_ones_and_as_json(call: Call) -> None:
    code, out, _ = call("a.csv", "b.csv", "--no-near", "--json")
    assert code == 0
    copies = json.loads(out)["copies"]
    assert (copies["normalised"], copies["across"]) == (2, 2)
    assert "near" not in copies


def test_another_data_set_and_a_clean_one(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "x.jsonl").write_text(json.dumps({"items": [{"q": "WHERE CAN I PARK MY OLD CAR"}]}) + "\n", "utf-8")
    monkeypatch.setenv("RUNG_LANG", "zh")
    code, out, _ = call("a.csv", "--against", folder, "--ci")
    assert code == 6
    assert "x.jsonl" in out
    assert "有 1 行" in out
    assert call("a.csv", "--ci")[0] == 0
    looked = rung.find_copies([tmp_path / "a.csv"], against=[folder])
    (pair,) = looked.report.contamination
    assert looked.lines(pair)[1] == "WHERE CAN I PARK MY OLD CAR"


def test_a_file_that_is_not_there(call: Call) -> None:
    code, _, err = call("nowhere.csv")
    assert code == 3
    assert "nowhere.csv" in err


def test_records_and_data_sets_are_compared_by_their_questions(call: Call, tmp_path: Path) -> None:
    rows = [Record(id="r1", inputs={"text": "How much is the rent?"}, answers=("a",), split="train")]
    (tmp_path / "c.jsonl").write_text(json.dumps(rows[0].to_json()) + "\n", "utf-8")
    code, out, _ = call("a.csv", "c.jsonl", "--show", "0")
    assert code == 0
    assert "1 of 1 rows of c.jsonl have a copy in a.csv" in out
    for name in ("one", "two"):
        DataSet(tmp_path / name).commit(rows, [Step(name="import", rows_after=1)])
    assert "1 of 1 rows of two/train have a copy in one/train" in call("one", "two")[1]
