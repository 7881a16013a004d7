"""A judge on a paid endpoint stops at the limit on money, keeps what it has marked, and goes on from there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import Body, FakeEndpoint, answer, say

from rung.cli.commands import JudgeFiles, compare
from rung.cli.judge import calibrate_judge, judge_run
from rung.core.append_log import read_log
from rung.core.errors import InterruptedRun, UsageError
from rung.experiment.judges.judging import LOG, open_judge
from rung.experiment.purse import LEDGER
from rung.store.judging import LICENCE, Licence, read_licence
from rung.store.runs import RunFolder

N = 60
PRICE = 10.0
"""What the endpoint charges for a mark; it is asked 32 at once."""


def mark(_: int, body: Body) -> Any:
    asked = body["messages"][-1]["content"]
    return say(answer("5" if "good" in re.findall(r"<<<\n(.*?)\n>>>", asked, re.DOTALL)[-1] else "2"))


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEndpoint]:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with FakeEndpoint(mark) as found:
        yield found


@pytest.fixture
def judge(endpoint: FakeEndpoint) -> Callable[..., Path]:
    """A judge.yaml of one dimension; given a budget, a task.yaml."""

    def write(limit: float | None = None) -> Path:
        model = {"kind": "openai", "id": "m1", "base_url": endpoint.url, "input_price": 1_000_000}
        values: dict[str, Any] = {"judge": {"model": model, "dimensions": {"specific": "it names things"}}}
        if limit is not None:
            values |= {"instruction": "Answer.", "inputs": ["question"], "budget": {"max_cost": limit}}
            values |= {"output": {"kind": "text", "column": "reference"}, "data": {"examples": "old.jsonl"}}
        path = Path("judge.yaml" if limit is None else "task.yaml")
        path.write_text(json.dumps(values), "utf-8")
        return path

    return write


def write(name: str, every: int, **more: Any) -> Path:
    rows = [
        {"id": f"q{i}", "question": f"Q{i}?", "answer": ("good" if i % every else "poor") + f" {name} {i}"} | more
        for i in range(N)
    ]
    path = Path(f"{name}.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def labels() -> Path:
    path = write("labels", 3)
    rows = [json.loads(line) | {"specific": 5 if i % 3 else 2} for i, line in enumerate(path.read_text().splitlines())]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def licensed(judge: Path) -> Licence:
    return calibrate_judge(judge, labels())


def test_calibration_stops_at_the_limit_and_asks_nothing_twice(endpoint: FakeEndpoint, judge: Any) -> None:
    with pytest.raises(InterruptedRun) as stopped:
        calibrate_judge(judge(), labels(), max_cost=100)
    assert (stopped.value.code, endpoint.asked, LICENCE.exists()) == ("E4003", 32, False)
    found = calibrate_judge(judge(), labels(), max_cost=300)
    assert (endpoint.asked, found.dimensions[0].n) == (N, N)
    assert read_licence(LICENCE) == found


def test_a_task_files_budget_binds_its_judge_and_the_argument_goes_before_it(
    endpoint: FakeEndpoint, judge: Any
) -> None:
    write("old", 2, reference="x")
    with pytest.raises(InterruptedRun):
        calibrate_judge(judge(100), labels())
    assert endpoint.asked == 32
    assert calibrate_judge(judge(100), labels(), max_cost=1e9).dimensions[0].n == N


def test_marking_a_run_stops_keeps_its_marks_and_counts_for_the_whole_run(endpoint: FakeEndpoint, judge: Any) -> None:
    files = [write("old", 2, reference="x"), write("new", 10, reference="x")]
    run: RunFolder = compare(files, language="en")
    licensed(judge())
    before = endpoint.asked
    for _ in range(2):
        with pytest.raises(InterruptedRun) as stopped:
            judge_run(run.path, judge(), before="old", max_cost=300)
        assert stopped.value.code == "E4003"
        assert endpoint.asked - before == 32
    assert len(read_log(run.path / LOG)) == 32
    table = judge_run(run.path, judge(), before="old", max_cost=1e9)
    assert endpoint.asked - before == 2 * N
    assert [system.marked for system in table.rows[0].systems] == [N, N]
    assert sum(line["money"] for line in read_log(run.path / LEDGER)) == 2 * N * PRICE


def test_a_comparison_with_a_judge_stops_too(endpoint: FakeEndpoint, judge: Any) -> None:
    files = [write("old", 2, reference="x"), write("new", 10, reference="x")]
    licensed(judge())
    before = endpoint.asked
    with pytest.raises(InterruptedRun) as stopped:
        compare(files, judge=JudgeFiles(judge(), max_cost=5))
    assert (stopped.value.code, endpoint.asked - before) == ("E4003", 32)
    run = compare(files, judge=JudgeFiles(judge()))
    assert endpoint.asked - before == 2 * N
    decision = run.read_decision()
    assert decision is not None


def test_a_limit_that_is_no_amount_is_refused_before_anything_is_asked(endpoint: FakeEndpoint, judge: Any) -> None:
    with pytest.raises(UsageError) as caught:
        open_judge(judge(), max_cost=-1)
    assert (caught.value.code, endpoint.asked) == ("E1311", 0)
