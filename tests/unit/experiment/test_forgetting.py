"""Forgetting in run folders: which runs hold a person's rows, which models were trained on them, and what is left after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rung.cli.data.forget import forget
from rung.core.errors import UsageError
from rung.data.privacy.mask import Masker
from rung.data.privacy.mask_map import MaskMap
from rung.data.record import Record
from rung.data.versions.dataset import DataSet
from rung.data.versions.version import Step
from rung.experiment.forgetting import FORGOTTEN, find_runs, trace_runs
from rung.store.runs import RunFolder

QUESTION = "我叫罗一鸣，押金什么时候退给我？"
CANDIDATE = {
    "schema_version": 1,
    "method": "fine_tune",
    "made_from": {},
    "model": {"kind": "transformers", "id": "m"},
    "prompt": {"instruction": "Answer.", "fields": ["question"]},
    "adapter": {"path": "adapter", "sha256": "0", "base": "m"},
    "output": {},
}


def write_lines(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A data set with two versions, and a run that was trained on it."""
    own = Record(id="q1", inputs={"question": QUESTION}, answers=("三天内",), split="train", subject="cust-1")
    others = [
        Record(id=f"q{n}", inputs={"question": f"第{n}个普通的问题是什么？"}, answers=("是",)) for n in range(2, 6)
    ]
    data = DataSet(tmp_path / "desk")
    data.commit([own, *others], [Step(name="import")])
    data.commit([own, *others[1:]], [Step(name="clean")])
    run = tmp_path / "runs" / "r1"
    write_lines(
        run / "examples.jsonl",
        [
            {"id": "q1", "split": "train", "inputs": {"question": QUESTION}, "references": ["三天内"], "group": "g"},
            {
                "id": "q2",
                "split": "test",
                "inputs": {"question": others[0].question},
                "references": ["是"],
                "group": "",
            },
        ],
    )
    (run / "run.yaml").write_text("{}", "utf-8")
    for name, shown in (("tuned", [QUESTION]), ("clean", [])):
        folder = run / "candidates" / name
        folder.mkdir(parents=True)
        (folder / "candidate.json").write_text(json.dumps(CANDIDATE), "utf-8")
        rows = [{"id": "q1", "request": {"query": text}, "target": "三天内"} for text in shown]
        write_lines(
            folder / "training" / "rows.jsonl", [*rows, {"id": "q9", "request": {"query": "别的"}, "target": "x"}]
        )
    write_lines(
        run / "evaluations" / "tuned.dev.jsonl",
        [
            {
                "answer": {"example": "q1", "text": "罗一鸣三天内", "raw": "罗一鸣"},
                "scores": {"f1": {"status": "scored", "value": 1.0}},
            }
        ],
    )
    (run / "report.html").write_text(f"<p>{QUESTION}</p>", "utf-8")
    (run / "notes.md").write_text(f"look at {QUESTION}", "utf-8")
    return tmp_path


def test_a_dry_run_names_everything_and_changes_nothing(house: Path) -> None:
    before = {path: path.read_bytes() for path in house.rglob("*") if path.is_file()}
    found = forget(house / "desk", subject="cust-1", runs=house / "runs")
    assert list(found.versions.values()) == [1, 1]
    run = found.runs[0]
    assert run.rows == {"train": 1}
    assert [(model.candidate, model.how) for model in run.models] == [("tuned", "adapter")]
    assert run.models[0].evidence == "candidates/tuned/training/rows.jsonl"
    assert {file.path: file.action for file in run.files} == {
        "examples.jsonl": "rewrite",
        "evaluations/tuned.dev.jsonl": "rewrite",
        "candidates/tuned/training/rows.jsonl": "rewrite",
        "report.html": "report",
        "notes.md": "delete",
    }
    assert {path: path.read_bytes() for path in house.rglob("*") if path.is_file()} == before


def test_afterwards_nothing_but_what_was_listed_holds_the_person(house: Path) -> None:
    (house / "desk" / "labels.jsonl").write_text(
        json.dumps({"id": "q1", "label": "x"}) + "\n" + json.dumps({"id": "q2"}) + "\n"
    )
    done = forget(house / "desk", ids=["q1"], runs=house / "runs", yes=True)
    assert sorted(done.by_hand) == ["r1/notes.md", "r1/report.html"]
    left = [path.name for path in house.rglob("*") if path.is_file() and "罗一鸣".encode() in path.read_bytes()]
    assert sorted(left) == ["notes.md", "report.html"]
    run = RunFolder(house / "runs" / "r1")
    assert run.read_examples()[0].inputs == {"question": FORGOTTEN}
    row = json.loads((run.path / "evaluations" / "tuned.dev.jsonl").read_text("utf-8"))
    assert row["scores"]["f1"]["value"] == 1.0
    assert row["answer"] == {"example": "q1", "text": FORGOTTEN}
    assert (house / "desk" / "labels.jsonl").read_text().count("\n") == 1
    data = DataSet(house / "desk")
    assert [data.version(version.id).forgotten for version in data.history()] == [1, 1]
    assert "q1" not in [row.id for row in data.read()]


def test_the_record_of_forgetting_holds_no_data(house: Path) -> None:
    forget(house / "desk", contains="罗一鸣", runs=house / "runs", yes=True)
    kept = (house / "desk" / "forgotten.jsonl").read_text("utf-8")
    line = json.loads(kept)
    assert line["by"] == ["contains"]
    assert line["runs"] == [{"run": "r1", "rows": {"train": 1}, "models": ["tuned"]}]
    assert "罗一鸣" not in kept
    assert "cust-1" not in kept


def test_the_same_id_in_another_run_is_another_row(house: Path) -> None:
    write_lines(
        house / "runs" / "r2" / "examples.jsonl",
        [
            {
                "id": "q1",
                "split": "train",
                "inputs": {"question": "Where is the key?"},
                "references": ["here"],
                "group": "",
            }
        ],
    )
    (house / "runs" / "r2" / "run.yaml").write_text("{}", "utf-8")
    found = forget(house / "desk", ids=["q1"], runs=house / "runs")
    assert [run.run for run in found.runs] == ["r1"]
    assert len(find_runs(house / "runs")) == 2


def test_maps_lose_the_person(house: Path) -> None:
    kept = MaskMap()
    data = DataSet(house / "desk")
    Masker(map=kept).records(data.read())
    kept.write(house / "maps" / "m.json")
    done = forget(house / "desk", subject="cust-1", maps=[house / "maps" / "m.json"], yes=True)
    assert done.maps == {"m.json": 1}
    assert "罗一鸣" not in (house / "maps" / "m.json").read_text("utf-8")


def test_nobody_named_is_refused_and_nobody_found_is_said(house: Path) -> None:
    with pytest.raises(UsageError) as error:
        forget(house / "desk")
    assert error.value.code == "E2915"
    found = forget(house / "desk", ids=["nobody"], runs=house / "runs")
    assert (found.versions, found.runs) == ({}, ())


def test_runs_are_traced_by_text_alone(house: Path) -> None:
    from rung.data.privacy.wish import Wish

    trace = Wish(contains="罗一鸣").trace(DataSet(house / "desk").read())
    assert [run.run for run in trace_runs(house / "runs", trace)] == ["r1"]
