"""A whole run on scripted models: stopped or killed anywhere it comes to the same decision, and nothing is done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_endpoint import FakeEndpoint, answer, say
from letters import LETTERS, register_letters
from small_task import LABELS, QUESTIONS, Asked, count_asked, scripted, write_task

from rung.core.errors import BackendError, InterruptedRun, UsageError
from rung.core.lock import folder_lock
from rung.core.method import Progress, Silent
from rung.core.model import ModelRef
from rung.experiment.journal import FileJournal
from rung.experiment.limits import Limits
from rung.experiment.run import run_task
from rung.models.cache import paid as money_of
from rung.models.fake import FakeModel
from rung.reporting.text import show_json
from rung.store.records import Cell, Decision, Outcome, Plan
from rung.store.runs import RunFolder

TWO = (scripted("hasty", 3), scripted("careful", 11))
MIXED: dict[str, Any] = {"models": TWO, "methods": ["prompt", "few_shot"], "encoder": LETTERS}
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from _pytest.monkeypatch import MonkeyPatch
from letters import register_letters
from small_task import count_asked
from rung.experiment.run import run_task
patch = MonkeyPatch()
register_letters(patch)
asked = count_asked(patch)
asked.clear(at=int(sys.argv[2]), strike=lambda: os.kill(os.getpid(), signal.SIGKILL))
run_task(Path(sys.argv[1]))
print(len(asked.batches))
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    register_letters(monkeypatch)
    return count_asked(monkeypatch)


def stop() -> None:
    raise KeyboardInterrupt


def gone() -> None:
    raise BackendError("E3109", model="m")


def decision_of(run: RunFolder) -> Decision:
    found = run.read_decision()
    assert found is not None
    return found


def told(decision: Decision) -> Any:
    """The decision without what is measured anew each time."""
    measured = {"latency_p50", "latency_p95", "checks"}
    record = decision.model_dump(mode="json")
    record["standings"] = [{k: v for k, v in line.items() if k not in measured} for line in record["standings"]]
    return record


def settled(run: RunFolder) -> Any:
    """Everything of a run that time does not change."""
    trials = {o.cell.name: [(t.setting, t.score, t.n) for t in o.trials] for o in run.outcomes()}
    rows = {
        (name, split): found.rows
        for name in run.candidates()
        for split in ("dev", "test")
        if (found := run.read_evaluation(name, split))
    }
    return told(decision_of(run)), run.candidates(), trials, rows, run.read_splits()


def test_the_ladder_is_run_and_the_better_model_wins(tmp_path: Path, asked: Asked) -> None:
    run = run_task(write_task(tmp_path, **MIXED))
    found = decision_of(run)
    assert {(s.method, s.model) for s in found.standings} == {
        (method, model) for method in ("prompt", "few_shot") for model in ("hasty", "careful")
    }
    winner = next(s for s in found.standings if s.candidate == found.winner)
    assert (found.verdict, winner.method, winner.model) == ("tie", "prompt", "careful")
    assert found.n == found.standings[0].scored == len((run.read_splits() or {})["splits"]["test"]["ids"])
    record = run.read_run()
    assert (record["finished"], record["id"], record["data"]["n"]["test"]) == (True, run.path.name, found.n)
    assert [outcome.status for outcome in run.outcomes()] == ["done"] * 4
    assert asked.batches


def test_copies_in_an_official_split_are_kept_and_scored_with_and_without(tmp_path: Path, asked: Asked) -> None:
    path = write_task(tmp_path, data={"train": "train.csv", "test": "test.csv"})
    lines = (tmp_path / "questions.csv").read_text("utf-8").splitlines()
    (tmp_path / "train.csv").write_text("\n".join(lines[:41]), "utf-8")
    # The last two questions of train, one of them in capitals, stand in test as well.
    copies = [lines[39].replace("q038", "t038"), lines[40].replace("q039", "t039").replace("Question", "QUESTION")]
    (tmp_path / "test.csv").write_text("\n".join([lines[0], *lines[41:], *copies]), "utf-8")
    run = run_task(path)
    (name,) = run.candidates()
    test, dev = run.read_evaluation(name, "test"), run.read_evaluation(name, "dev")
    assert test is not None
    assert dev is not None
    assert test.header.n == 22
    apart = test.extra["without_copies"]
    assert (apart["copies"], apart["summaries"]["accuracy"]["n"]) == (2, 20)
    assert dev.extra == {}
    shown = show_json(run)["cells"][0]["without_copies"]
    assert shown == apart


def test_no_test_question_is_asked_before_dev_is_done_and_none_is_shown_as_an_example(
    tmp_path: Path, asked: Asked
) -> None:
    run = run_task(write_task(tmp_path, methods=["few_shot"], encoder=LETTERS))
    lines = map(json.loads, (run.path / "examples.jsonl").read_text("utf-8").splitlines())
    splits = {line["id"]: line["split"] for line in lines}
    of = {QUESTIONS[int(name[1:])]: split for name, split in splits.items()}
    order = [of[request.query] for batch in asked.batches for request in batch]
    first = order.index("test")
    assert set(order[first:]) == {"test"}
    assert set(order[:first]) == {"train", "dev"}
    shown = {splits[shot.id] for batch in asked.batches for request in batch for shot in request.shots}
    assert shown == {"train"}


def test_a_second_run_does_nothing_again_and_opens_nothing(tmp_path: Path, asked: Asked) -> None:
    task = write_task(tmp_path, **MIXED)
    run = run_task(task)
    before = settled(run)
    openings = run.openings()
    assert len(openings) == 4
    asked.clear()
    assert run_task(task).path == run.path
    assert asked.batches == []
    assert settled(run) == before
    assert run.openings() == openings


@pytest.mark.parametrize("strike", [stop, gone])
def test_stopped_at_any_call_it_comes_to_the_same_decision(tmp_path: Path, asked: Asked, strike: Any) -> None:
    whole = run_task(write_task(tmp_path / "whole"))
    expected, calls = settled(whole), len(asked.batches)
    assert calls > 6
    for at in range(1, calls + 1):
        task = write_task(tmp_path / f"{strike.__name__}{at}")
        asked.clear(at=at, strike=strike)
        with pytest.raises((InterruptedRun, BackendError)) as caught:
            run_task(task)
        assert caught.value.code == ("E4001" if strike is stop else "E3109")
        asked.clear()
        run = run_task(task)
        assert settled(run) == expected
        # What a rung had tried, and what was answered, is not asked again: at most its calibration is.
        assert len(asked.batches) <= calls - (at - 1) + 2


def test_stopped_at_every_call_in_turn_it_still_gets_there(tmp_path: Path, asked: Asked) -> None:
    """Each process gets one batch further than the last one and is stopped; calibration takes two in one go."""
    expected = settled(run_task(write_task(tmp_path / "whole", models=TWO, methods=["prompt"])))
    task = write_task(tmp_path / "often", models=TWO, methods=["prompt"])
    for _ in range(40):
        asked.clear(at=4, strike=stop)
        try:
            run = run_task(task)
            break
        except InterruptedRun:
            continue
    else:
        pytest.fail("it never got to the end")
    assert settled(run) == expected


def test_a_stopped_run_can_be_told_from_a_finished_one(tmp_path: Path, asked: Asked) -> None:
    task = write_task(tmp_path)
    asked.clear(at=3, strike=stop)
    with pytest.raises(InterruptedRun) as caught:
        run_task(task)
    run = RunFolder.existing(tmp_path)
    assert caught.value.exit_code == 5
    assert str(run.path) in str(caught.value)
    assert (run.read_decision(), run.read_run()["finished"]) == (None, False)
    assert not run.openings()
    asked.clear()
    run_task(task)
    assert run.read_run()["finished"] is True


def test_killed_without_warning_it_goes_on(tmp_path: Path, asked: Asked) -> None:
    """In a process of its own, by a signal that nothing can catch: while settings are tried, and while test is answered."""
    expected = settled(run_task(write_task(tmp_path / "whole", **MIXED)))
    script = KILLED.format(paths=[str(Path(__file__).resolve().parents[2])])
    for at in (3, 9):
        task = write_task(tmp_path / f"killed{at}", **MIXED)
        command = [sys.executable, "-c", script, str(task), str(at)]
        assert subprocess.run(command, capture_output=True, timeout=120).returncode == -signal.SIGKILL
        assert settled(run_task(task)) == expected


def test_killed_before_any_rename_every_record_is_whole_and_the_run_goes_on(tmp_path: Path, asked: Asked) -> None:
    """Each file, and each candidate's folder, gets its name by a rename; a killed process does not tidy up after it."""
    expected = settled(run_task(write_task(tmp_path / "whole")))

    class Killed(BaseException):
        pass

    for at in range(1, 60):
        folder, count = tmp_path / f"at{at}", [0]
        task = write_task(folder)

        def dying(real: Any, stop_at: int = at, count: list[int] = count) -> Any:
            def rename(*places: Any, **rest: Any) -> None:
                count[0] += 1
                if count[0] >= stop_at:
                    raise Killed
                real(*places, **rest)

            return rename

        with pytest.MonkeyPatch.context() as patched:
            for name in ("replace", "rename"):
                patched.setattr(os, name, dying(getattr(os, name)))
            try:
                run_task(task)
            except Killed:
                pass
            else:
                assert at > 10
                break
        for path in folder.rglob("*.json"):
            json.loads(path.read_text("utf-8"))
        assert settled(run_task(task)) == expected
    else:
        pytest.fail("a small run does not rename sixty times")


def test_stopped_before_a_finished_candidate_has_its_place_it_is_not_made_again(
    tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = settled(run_task(write_task(tmp_path / "whole")))
    task = write_task(tmp_path / "stopped")
    with monkeypatch.context() as patched:
        patched.setattr("rung.experiment.adapt.put_in_place", lambda *_: stop())
        with pytest.raises(InterruptedRun):
            run_task(task)
    asked.clear()
    run = run_task(task)
    assert settled(run) == expected
    # Calibration asks questions of train; the evaluation does not.
    train = {QUESTIONS[int(name[1:])] for name in (run.read_splits() or {})["splits"]["train"]["ids"]}
    assert not train & {request.query for batch in asked.batches for request in batch}


def test_one_rung_that_breaks_costs_only_itself(
    tmp_path: Path, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks() -> None:
        raise ZeroDivisionError("in the backend")

    task = write_task(tmp_path, models=TWO, methods=["prompt"])
    asked.clear(at=1, strike=breaks)
    run = run_task(task)
    assert [(o.cell.model, o.status) for o in run.outcomes()] == [("hasty", "failed"), ("careful", "done")]
    failed = run.outcomes()[0]
    assert "ZeroDivisionError" in failed.reason
    assert "Traceback" in (run.working_folder(failed.cell) / "error.log").read_text()
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert len(decision_of(run).standings) == 1
    # Run again, it gets another chance.
    asked.clear()
    assert [o.status for o in run_task(task).outcomes()] == ["done", "done"]


def test_what_cannot_run_is_blocked_and_said(tmp_path: Path, asked: Asked) -> None:
    run = run_task(write_task(tmp_path, methods=["prompt", "rag", "fine_tune"]))
    assert {o.cell.method: (o.status, o.cell.blockers) for o in run.outcomes()} == {
        "prompt": ("done", ()),
        "rag": ("blocked", ("E2404",)),
        "fine_tune": ("blocked", ("E2405",)),
    }


def test_a_baseline_is_run_once_however_many_models(tmp_path: Path, asked: Asked) -> None:
    run = run_task(write_task(tmp_path, models=TWO, methods=["baseline", "prompt"], encoder=LETTERS))
    assert [(o.cell.method, o.cell.model) for o in run.outcomes()] == [
        ("baseline", "-"),
        ("prompt", "hasty"),
        ("prompt", "careful"),
    ]
    assert len(decision_of(run).standings) == 3
    asked.clear()
    run_task(write_task(tmp_path, models=TWO, methods=["baseline", "prompt"], encoder=LETTERS))
    assert asked.batches == []


# Climbing


def test_climbing_stops_at_the_first_rung_that_is_enough(tmp_path: Path, asked: Asked) -> None:
    task = write_task(tmp_path, methods=["prompt", "few_shot"], encoder=LETTERS, target=0.7)
    run = run_task(task)
    found = decision_of(run)
    assert (found.mode, found.verdict) == ("climb", "winner")
    assert [(o.cell.method, o.status, o.reason) for o in run.outcomes()] == [
        ("prompt", "done", ""),
        ("few_shot", "skipped", "E4101"),
    ]
    assert {o.candidate for o in run.openings()} == {found.winner}
    asked.clear()
    assert decision_of(run_task(task)) == found
    assert asked.batches == []


def test_test_stays_closed_where_dev_does_not_promise_the_target(tmp_path: Path, asked: Asked) -> None:
    run = run_task(write_task(tmp_path, models=[scripted("hasty", 3)], target=0.95))
    assert run.openings() == []
    assert decision_of(run).winner is None
    assert decision_of(run).verdict == "target_not_met"


def test_all_runs_every_rung_although_a_target_is_set(tmp_path: Path, asked: Asked) -> None:
    task = write_task(tmp_path, methods=["prompt", "few_shot"], encoder=LETTERS, target=0.7)
    run_task(task)
    run = run_task(task, compare_all=True)
    assert [o.status for o in run.outcomes()] == ["done", "done"]
    assert (decision_of(run).mode, len(decision_of(run).standings)) == ("compare", 2)


# Money


@pytest.fixture
def paid(tmp_path: Path) -> Iterator[tuple[FakeEndpoint, Callable[[float], Path]]]:
    """An endpoint that charges 10 an answer, and its task by the limit: a setting's first block of three dev questions costs 30."""

    def script(_: int, __: Any) -> Any:
        return say(answer("rent"))

    with FakeEndpoint(script) as endpoint:
        model = {"kind": "openai", "id": "m1", "base_url": endpoint.url, "input_price": 1_000_000}
        yield endpoint, lambda limit: write_task(tmp_path, models=[model], budget={"max_cost": limit})


def test_money_stops_a_run_and_with_a_higher_limit_nothing_is_paid_for_twice(
    paid: tuple[FakeEndpoint, Callable[[float], Path]],
) -> None:
    endpoint, task = paid
    with pytest.raises(InterruptedRun) as caught:
        run_task(task(50))
    assert caught.value.code == "E4003"
    assert endpoint.asked == 6
    run = run_task(task(1e9))
    bodies = [json.dumps(body, sort_keys=True) for body in endpoint.bodies]
    assert len(bodies) == len(set(bodies)) > 50
    evaluation = run.read_evaluation(run.candidates()[0], "test")
    assert evaluation is not None
    assert evaluation.resources.money == pytest.approx(10 * evaluation.header.n)


def test_the_limit_on_money_is_one_of_the_whole_run_and_not_of_each_attempt(
    paid: tuple[FakeEndpoint, Callable[[float], Path]],
) -> None:
    endpoint, task = paid
    for _ in range(3):
        with pytest.raises(InterruptedRun):
            run_task(task(50))
    assert endpoint.asked == 6


def test_money_counts_although_the_attempt_was_killed_before_it_could_note_it(
    paid: tuple[FakeEndpoint, Callable[[float], Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, task = paid
    with monkeypatch.context() as patched:
        patched.setattr(FileJournal, "note", lambda *_: stop())
        with pytest.raises(InterruptedRun):
            run_task(task(50))
    assert endpoint.asked == 6
    with pytest.raises(InterruptedRun):
        run_task(task(50))
    assert endpoint.asked == 6


def test_an_answer_out_of_the_cache_is_not_charged_again_when_a_run_goes_on(
    paid: tuple[FakeEndpoint, Callable[[float], Path]],
) -> None:
    endpoint, task = paid
    run = run_task(task(1e9))
    spent = 10 * endpoint.asked
    assert money_of(run.path / "answers.sqlite") == pytest.approx(spent)
    run.evaluation_path(run.candidates()[0], "test").with_suffix(".json").unlink()
    assert run_task(task(spent + 1)).path == run.path
    assert 10 * endpoint.asked == spent


def test_limits_of_a_call_go_before_the_files_and_leave_the_run_the_same_one(
    paid: tuple[FakeEndpoint, Callable[[float], Path]],
) -> None:
    endpoint, task = paid
    path = task(1e9)
    with pytest.raises(InterruptedRun) as caught:
        run_task(path, limits=Limits(max_cost=50, max_hours=2))
    assert (caught.value.code, endpoint.asked < 20) == ("E4003", True)
    (folder,) = (path.parent / "runs").iterdir()
    stopped = RunFolder(folder).read_run()
    assert stopped["limits"] == {"max_cost": 50, "max_hours": 2}
    assert (stopped["config"]["budget"]["max_cost"], stopped["config"]["budget"]["minutes"]) == (50, 120)
    run = run_task(path)
    assert run.path == folder
    record = run.read_run()
    assert (record["finished"], record["hash"], record["limits"]) == (True, stopped["hash"], {})
    assert record["config"]["budget"]["max_cost"] == 1e9


@pytest.mark.parametrize("limit", [{"max_hours": 0}, {"max_hours": -1}, {"max_cost": -0.1}, {"max_cost": float("nan")}])
def test_a_limit_that_is_no_amount_is_refused(limit: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="E1311"):
        Limits(**limit)


# Two runs, two processes


def test_a_run_that_is_in_use_is_refused(tmp_path: Path, asked: Asked) -> None:
    task = write_task(tmp_path)
    with folder_lock(tmp_path / "runs" / "mine"), pytest.raises(InterruptedRun) as caught:
        run_task(task, run_id="mine")
    assert caught.value.code == "E4002"
    assert asked.batches == []


def test_other_data_is_another_run_and_never_mixed_into_an_old_one(tmp_path: Path, asked: Asked) -> None:
    first = run_task(write_task(tmp_path), run_id="mine")
    with pytest.raises(UsageError) as caught:
        run_task(write_task(tmp_path, instruction="Name the subject."), run_id="mine")
    assert caught.value.code == "E1303"
    other = run_task(write_task(tmp_path, instruction="Name the subject."))
    assert other.path != first.path


def test_a_watcher_is_told_every_step(tmp_path: Path, asked: Asked) -> None:
    class Diary:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def reading(self) -> Progress:
            return Silent()

        def planned(self, plan: Plan, run: RunFolder) -> None:
            self.lines.append(f"planned {len(plan.cells)}")

        def started(self, cell: Cell) -> Progress:
            self.lines.append(f"started {cell.name}")
            return Silent()

        def finished(self, outcome: Outcome, test: Any) -> None:
            self.lines.append(f"{outcome.status} {outcome.cell.name} {test.header.n if test else '-'}")

    diary = Diary()
    run = run_task(write_task(tmp_path, methods=["prompt", "rag"]), watcher=diary)
    n = decision_of(run).n
    assert diary.lines == [
        "planned 2",
        "started prompt@careful",
        f"done prompt@careful {n}",
        "blocked rag@careful -",
    ]


def test_the_record_of_a_candidate_is_all_it_takes_to_answer_again(tmp_path: Path, asked: Asked) -> None:
    run = run_task(write_task(tmp_path, methods=["few_shot"], encoder=LETTERS))
    candidate = run.read_candidate(decision_of(run).winner or "")
    assert candidate.model == FakeModel.open(ModelRef.model_validate(candidate.model.model_dump())).ref
    rows: Sequence[Any] = (run.read_evaluation(candidate.id, "test") or pytest.fail("no evaluation")).rows
    assert {row.answer.text for row in rows} == set(LABELS)
