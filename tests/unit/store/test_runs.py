"""The run folder: what is written comes back the same, and what is damaged is said to be."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.durable import write_json
from rung.core.errors import DataError, UsageError
from rung.core.evaluation import Answer, Evaluation, EvaluationHeader, Resources, Row, Score, Summary
from rung.core.model import Failure, ModelRef
from rung.store.records import Cell, Outcome, Plan, Spend, TrialRecord
from rung.store.runs import RunFolder

ROWS = (
    Row(Answer("e0", "rent", confidence=0.75, tokens_in=9, seconds=0.5), {"m": Score("scored", 1.0, {"m": 1.0})}, "g1"),
    Row(Answer("e1", "", raw="??", failure=Failure("timeout", "30 s {x}")), {"m": Score("failed")}),
    Row(Answer("e2", "租金\u2028第一天\r\n\x00"), {"m": Score("unscored")}, "客户"),
    Row(
        Answer("e3", " ", citations=("p1",), passages=("p1", "p2"), shots=("t1",), money=0.01, served_by="m@2"),
        {"m": Score("scored", 0.0)},
    ),
)


def evaluation(candidate: str = "prompt-1", split: str = "test", rows: tuple[Row, ...] = ROWS) -> Evaluation:
    summary = Summary(metric="m", value=0.5, low=None, high=None, n=len(rows), scored=2, failed=1, unscored=1)
    header = EvaluationHeader(
        candidate=candidate,
        method="prompt",
        model="模型",
        split=split,
        split_hash="h",
        n=len(rows),
        metrics=("m",),
        index="x@1",
        resumed=True,
    )
    return Evaluation(header, rows, {"m": summary}, Resources(latency_p95=None, seconds=1.5, money=0.01), {"k": "值"})


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "desk-1")


def test_an_evaluation_comes_back_as_it_was(run: RunFolder) -> None:
    written = evaluation()
    run.write_evaluation(written)
    assert run.read_evaluation("prompt-1", "test") == written
    assert run.read_evaluation("prompt-1", "dev") is None
    lines = run.evaluation_path("prompt-1", "test").read_bytes().split(b"\n")
    assert len(lines) == len(ROWS) + 1
    assert "租金".encode() in lines[2]


def test_a_candidate_with_dots_and_marks_in_its_name_has_its_own_files(run: RunFolder) -> None:
    for name in ("few_shot+fine_tune-0a", "few_shot", "v1.5", "v1.6"):
        run.write_evaluation(evaluation(name))
    for name in ("few_shot+fine_tune-0a", "few_shot", "v1.5", "v1.6"):
        found = run.read_evaluation(name, "test")
        assert found is not None
        assert found.header.candidate == name


def test_an_evaluation_without_its_summary_is_not_finished(run: RunFolder) -> None:
    run.write_evaluation(evaluation())
    run.evaluation_path("prompt-1", "test").with_suffix(".json").unlink()
    assert run.read_evaluation("prompt-1", "test") is None


@pytest.mark.parametrize("left", [0, 3])
def test_rows_that_are_missing_are_noticed(run: RunFolder, left: int) -> None:
    run.write_evaluation(evaluation())
    path = run.evaluation_path("prompt-1", "test")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:left]))
    with pytest.raises(DataError) as caught:
        run.read_evaluation("prompt-1", "test")
    assert caught.value.code == "E2901"
    assert f"{left} rows" in str(caught.value)
    assert "4" in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: text.replace('"header"', '"head"'),
        lambda text: text.replace('"n": 4', '"n": "four"'),
    ],
    ids=["cut", "empty", "a field is gone", "a field is wrong"],
)
def test_a_damaged_summary_is_a_data_error_that_names_the_file(run: RunFolder, damage: Any) -> None:
    run.write_evaluation(evaluation())
    path = run.evaluation_path("prompt-1", "test").with_suffix(".json")
    path.write_text(damage(path.read_text("utf-8")), "utf-8")
    with pytest.raises(DataError) as caught:
        run.read_evaluation("prompt-1", "test")
    assert caught.value.code == "E2901"
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [b'{"answer": {"exam', b"\xff\xfe", b'{"scores": {}}', b'{"answer": {"example": "e", "text": "", "colour": 1}}'],
    ids=["cut", "no text", "a field is gone", "a field is unknown"],
)
def test_a_damaged_line_is_a_data_error_that_names_the_file(run: RunFolder, line: bytes) -> None:
    run.write_evaluation(evaluation())
    path = run.evaluation_path("prompt-1", "test")
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], line, *lines[2:]]) + b"\n")
    with pytest.raises(DataError) as caught:
        run.read_evaluation("prompt-1", "test")
    assert caught.value.code == "E2901"
    assert path.name in str(caught.value)


@pytest.mark.parametrize("name", ["plan", "decision", "cells/prompt@m"])
@pytest.mark.parametrize("text", ['{"mode": ', '{"mode": "sideways"}'], ids=["cut", "of another version"])
def test_a_damaged_record_is_a_data_error_that_names_the_file(run: RunFolder, name: str, text: str) -> None:
    path = run.path / f"{name}.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    read: dict[str, Any] = {
        "plan": run.read_plan,
        "decision": run.read_decision,
        "cells/prompt@m": lambda: run.read_outcome(Cell(method="prompt", model="m", rank=0)),
    }
    with pytest.raises(DataError) as caught:
        read[name]()
    assert caught.value.code == "E2901"
    assert path.name in str(caught.value)


def test_a_damaged_run_record_is_a_data_error(run: RunFolder) -> None:
    run.write_run({"id": "desk-1"})
    assert run.read_run() == {"id": "desk-1"}
    (run.path / "run.yaml").write_text("id: [1, 2\n: {")
    with pytest.raises(DataError) as caught:
        run.read_run()
    assert caught.value.code == "E2901"


def test_outcomes_come_in_the_order_of_the_plan_and_only_those_that_are_there(run: RunFolder) -> None:
    cells = [
        Cell(method=name, model=model, rank=n)
        for n, (name, model) in enumerate([("rag", "org/m"), ("prompt", "m"), ("few_shot", "m")])
    ]
    run.write_plan(Plan(mode="compare", cells=tuple(cells), splits={"test": 4}))
    trial = TrialRecord(setting={"k": 3, "词": "值"}, score=0.5, n=4)
    last = Outcome(
        cell=cells[2], status="done", candidate="c", spent=Spend(seconds=2.0), trials=(trial,), notes={"a": 1}
    )
    first = Outcome(cell=cells[0], status="failed", reason="no {space}")
    run.write_outcome(last)
    run.write_outcome(first)
    assert run.outcomes() == [first, last]
    assert [path.name for path in (run.path / "cells").glob("rag@*")] == [f"{cells[0].name}.json"]
    assert run.read_outcome(cells[1]) is None


def test_models_whose_names_differ_only_in_a_slash_share_no_file_and_older_files_are_still_read(run: RunFolder) -> None:
    slash, line = (Cell(method="prompt", model=model, rank=1) for model in ("org/small", "org_small"))
    assert line.name == "prompt@org_small"
    assert slash.name.startswith("prompt@org_small-")
    assert "/" not in slash.name
    run.write_plan(Plan(mode="compare", cells=(slash, line), splits={}))
    for cell in (slash, line):
        run.write_outcome(Outcome(cell=cell, status="done", candidate=cell.model))
    assert [outcome.candidate for outcome in run.outcomes()] == ["org/small", "org_small"]
    # As an older version has left it: one file, which belongs to the model that it names.
    (run.path / "cells" / f"{slash.name}.json").rename(run.path / "cells" / "prompt@org_small.json")
    assert [outcome.candidate for outcome in run.outcomes()] == ["org/small"]


def test_a_candidate_is_found_by_name_and_an_unknown_one_is_refused_with_the_known(run: RunFolder) -> None:
    made = Candidate(
        method="prompt",
        model=ModelRef(kind="fake", id="m"),
        prompt=PromptSlot(instruction="{x}", fields=("q",)),
        output=OutputSlot(),
    )
    for folder in (made.id, ".prompt@m"):
        write_json(run.path / "candidates" / folder / "candidate.json", {"id": made.id, **made.model_dump(mode="json")})
    assert run.candidates() == [made.id]
    assert run.read_candidate(made.id) == made
    with pytest.raises(UsageError) as caught:
        run.read_candidate("prompt-0")
    assert caught.value.code == "E1302"
    assert made.id in str(caught.value)


def test_a_folder_of_runs_stands_for_its_newest_run(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "older")):
        run = RunFolder(tmp_path / "runs" / name)
        run.write_run({"id": name})
        os.utime(run.path / "run.yaml", (1_000_000 - age, 1_000_000 - age))
    for place in (tmp_path, tmp_path / "runs", tmp_path / "runs" / "new"):
        assert RunFolder.existing(place).path.name == "new"
    assert RunFolder.existing(tmp_path / "runs" / "older").path.name == "older"
    for place in (tmp_path / "nowhere", tmp_path / "runs" / "new" / "run.yaml"):
        with pytest.raises(UsageError) as caught:
            RunFolder.existing(place)
        assert caught.value.code == "E1301"


def test_json_of_an_evaluation_is_plain(run: RunFolder) -> None:
    """Other programs read these files, so what is not a number is null and never NaN."""
    run.write_evaluation(evaluation())
    path = run.evaluation_path("prompt-1", "test").with_suffix(".json")
    assert json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)["summaries"]["m"]["low"] is None
