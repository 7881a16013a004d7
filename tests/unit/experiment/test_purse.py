"""Money over a whole run: useless answers are charged too, and nothing that was charged is forgotten by a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import Body, FakeEndpoint, answer, ask, say
from small_task import write_task

from rung.core.append_log import read_log
from rung.core.errors import InterruptedRun
from rung.core.model import Completion, Failure
from rung.experiment.limits import Limits
from rung.experiment.purse import LEDGER, PaidModel, Purse
from rung.experiment.run import run_task
from rung.models.cache import CachedModel
from rung.models.fake import FakeModel
from rung.store.runs import RunFolder

ASK = """
import sys
from pathlib import Path
from rung.core.errors import InterruptedRun
from rung.experiment.run import run_task
try:
    run_task(Path(sys.argv[1]))
except InterruptedRun as stopped:
    print(stopped.code)
"""


@pytest.fixture
def useless() -> Iterator[FakeEndpoint]:
    """Charges 10 for every answer, and every second one is empty."""
    with FakeEndpoint(lambda n, _: say(answer("rent" if n % 2 else ""))) as endpoint:
        yield endpoint


def task(folder: Path, endpoint: FakeEndpoint, limit: float) -> Path:
    model = {"kind": "openai", "id": "m1", "base_url": endpoint.url, "input_price": 1_000_000}
    return write_task(folder, models=[model], budget={"max_cost": limit})


def test_what_useless_answers_cost_is_known_after_a_stop(tmp_path: Path, useless: FakeEndpoint) -> None:
    for _ in range(3):
        with pytest.raises(InterruptedRun) as stopped:
            run_task(task(tmp_path, useless, 50))
        assert stopped.value.code == "E4003"
    assert useless.asked == 6
    (run,) = (tmp_path / "runs").iterdir()
    assert sum(line["money"] for line in read_log(run / LEDGER)) == 60
    assert {line["failure"] for line in read_log(run / LEDGER)} == {None, "empty"}


def test_a_kill_in_the_middle_of_a_batch_forgets_no_charge(tmp_path: Path) -> None:
    children: list[subprocess.Popen[bytes]] = []

    def script(n: int, _: Body) -> Any:
        if n == 5:
            os.kill(children[0].pid, signal.SIGKILL)
            return "hang up"
        return say(answer("rent" if n % 2 else ""))

    with FakeEndpoint(script) as endpoint:
        model = {
            "kind": "openai", "id": "m1", "base_url": endpoint.url, "input_price": 1_000_000,
            "options": {"pacing": {"concurrency": 1}},
        }  # fmt: skip
        path = write_task(tmp_path, models=[model], budget={"max_cost": 55})
        children.append(subprocess.Popen([sys.executable, "-c", ASK, str(path)]))
        assert children[0].wait(60) == -signal.SIGKILL
        (run,) = (tmp_path / "runs").iterdir()
        # The fourth answer may have been on its way when the blow fell; those before it were handed on.
        charged = sum(line["money"] for line in read_log(run / LEDGER))
        assert charged in {30, 40}
        with pytest.raises(InterruptedRun):
            run_task(path)
        assert sum(line["money"] for line in read_log(run / LEDGER)) - 55 <= 30


def test_a_run_stopped_by_its_limit_still_has_the_answers_it_paid_for(tmp_path: Path, useless: FakeEndpoint) -> None:
    run = run_task(task(tmp_path, useless, 1e9))
    asked = useless.asked
    name = run.candidates()[0]
    rows = run.evaluation_path(name, "test").with_suffix(".jsonl")
    run.evaluation_path(name, "test").with_suffix(".json").unlink()
    rows.unlink()
    with pytest.raises(InterruptedRun):
        run_task(task(tmp_path, useless, 1))
    # Only the empty ones would have to be asked again.
    assert useless.asked == asked


def test_a_rung_knows_what_earlier_attempts_at_it_were_charged(tmp_path: Path, useless: FakeEndpoint) -> None:
    with pytest.raises(InterruptedRun):
        run_task(task(tmp_path, useless, 50))
    run = run_task(task(tmp_path, useless, 50), limits=Limits(max_cost=1e9))
    (outcome,) = run.outcomes()
    lines = read_log(run.path / LEDGER)
    assert outcome.spent.money == sum(line["money"] for line in lines if line["account"] == outcome.cell.name) > 50
    assert sum(line["money"] for line in lines) == 10 * useless.asked > outcome.spent.money


def test_a_cached_answer_is_not_charged_and_a_failed_one_is(tmp_path: Path) -> None:
    dear = Completion(text="x", money=2.0)
    refused = Completion(failure=Failure("refused"), money=1.0, finish="error")
    purse = Purse(ledger=tmp_path / LEDGER)
    model = CachedModel(PaidModel(FakeModel({"a": dear, "b": refused}), purse), tmp_path / "answers.sqlite")
    model.generate([ask("a"), ask("b")])
    model.generate([ask("a"), ask("b")])
    assert purse.spent == 4.0
    assert Purse(ledger=tmp_path / LEDGER).spent == 4.0


def test_a_run_from_before_the_ledger_counts_the_answers_it_has_kept(tmp_path: Path, useless: FakeEndpoint) -> None:
    run: RunFolder = run_task(task(tmp_path, useless, 1e9))
    (run.path / LEDGER).unlink()
    kept = Purse.of_run(run.path, None).spent
    assert 0 < kept < 10 * useless.asked


def test_half_a_line_at_the_end_of_the_ledger_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / LEDGER
    path.write_text(json.dumps({"model": "m", "money": 3.0, "account": "", "failure": None}) + '\n{"mod', "utf-8")
    purse = Purse(ledger=path)
    with purse.charging("m") as take:
        take(Completion(money=1.0))
    assert [line["money"] for line in read_log(path)] == [3.0, 1.0]
