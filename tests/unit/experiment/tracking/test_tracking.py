"""Tracking a run: nothing is lost while a server is down, nothing is said twice, and a run never waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from small_task import write_task

from rung.config import load_config
from rung.core.errors import Problem, UsageError
from rung.core.method import Silent
from rung.experiment.run import run_task
from rung.experiment.session import Unwatched
from rung.experiment.tracking import tracker as tracking
from rung.experiment.tracking.events import Event, event
from rung.experiment.tracking.queue import Queue
from rung.experiment.tracking.targets import Targets, targets_of
from rung.experiment.tracking.tracker import TrackedRun, Tracker, send_report
from rung.methods.watching import Part, TrainingWatch
from rung.store.records import Cell

CELL = Cell(method="fine_tune", model="m", rank=4)
LINE = {
    "step": 1,
    "planned": 4,
    "seconds": 1.0,
    "tokens": 50,
    "loss": 2.0,
    "rate": 0.001,
    "norm": 1.0,
    "memory_gib": 0.5,
}


@dataclass
class Server:
    """A receiver that can be down."""

    name: str = "server"
    down: bool = False
    got: list[Event] = field(default_factory=list)
    closed: int = 0

    def send(self, events: Sequence[Event]) -> None:
        if self.down:
            raise ConnectionError("nobody answers\nand more lines")
        self.got += events

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    found = Server()
    monkeypatch.setattr(tracking, "receivers", lambda targets, run, queue: [found])
    return found


TARGETS = Targets(mlflow="http://localhost:1", experiment="e")


def test_what_a_server_did_not_get_waits_and_is_sent_in_order_by_the_next_command(
    tmp_path: Path, server: Server
) -> None:
    warned: list[Problem] = []
    server.down = True
    first = Tracker(tmp_path, TARGETS, warned.append)
    first.start()
    for n in range(5):
        first.tell([event("step", "a", step=n, values={"x": float(n)})])
    assert first.finish() == {"server": 5}
    # One warning that it is down, and one at the end about what is left.
    assert [problem.code for problem in warned] == ["E4740", "E4741"]
    assert "nobody answers" in warned[0].message("en")
    assert "5" in warned[1].message("zh")
    server.down = False
    second = Tracker(tmp_path, TARGETS)
    second.tell([event("step", "a", step=5, values={"x": 5.0})])
    assert second.finish() == {"server": 0}
    assert [found["step"] for found in server.got] == [0, 1, 2, 3, 4, 5]
    third = Tracker(tmp_path, TARGETS)
    third.finish()
    assert len(server.got) == 6
    assert server.closed == 3


def test_events_survive_a_kill_and_a_torn_line(tmp_path: Path) -> None:
    Queue(tmp_path).add([event("step", "a", step=1, values={}), event("step", "a", step=2, values={})])
    with (tmp_path / "tracking" / "queue.jsonl").open("ab") as file:
        file.write(b'{"at": 1, "kind": "st')
    queue = Queue(tmp_path)
    queue.arrived("server", 1)
    assert [found["step"] for found in Queue(tmp_path).waiting("server")] == [2]
    assert Queue(tmp_path).left("other") == 2


def test_what_became_of_a_rung_is_said_once_however_often_a_run_goes_on(tmp_path: Path, server: Server) -> None:
    for _ in range(2):
        told = Tracker(tmp_path, TARGETS)
        told.tell([event("result", "a", values={"test/accuracy": 0.5}), event("end", "a", status="done")])
        told.tell([event("file", path="report.md")])
        told.finish()
    assert [found["kind"] for found in server.got] == ["result", "end", "file", "file"]


def test_lines_of_a_training_reach_the_bar_and_the_server_seed_by_seed(tmp_path: Path, server: Server) -> None:
    told = Tracker(tmp_path, TARGETS)
    progress = TrackedRun(Unwatched(), told).started(CELL)
    for n in (1, 2):
        watch = TrainingWatch(progress, part=Part(f"seed-{n}", n, 2, 0.5 * (n - 1), 0.5))
        watch(LINE | {"dev": 0.25 * n, "dev_loss": float("nan")})
    told.finish()
    assert [found["series"] for found in server.got] == [f"{CELL.name}/seed-1", f"{CELL.name}/seed-2"]
    values = server.got[1]["values"]
    assert (values["dev/score"], values["train/loss"], values["speed/tokens_per_second"]) == (0.5, 2.0, 50.0)
    # Not a number is no number: a server would refuse the whole batch.
    assert "dev/loss" not in values


def test_a_run_without_tracking_leaves_no_trace_of_it(tmp_path: Path) -> None:
    run = run_task(write_task(tmp_path))
    assert not (run.path / "tracking").exists()
    assert send_report(run.path, []) == {}


def test_tracking_changes_nothing_of_the_run_and_tells_of_all_of_it(tmp_path: Path, server: Server) -> None:
    pytest.importorskip("mlflow", reason="needs rung[tracking]")
    plain = run_task(write_task(tmp_path), runs=tmp_path / "plain")
    run = run_task(write_task(tmp_path, tracking={"mlflow": "http://localhost:5000"}), runs=tmp_path / "tracked")
    assert run.path.name == plain.path.name
    assert [found["kind"] for found in server.got] == ["run", "settings", "result", "end"]
    values = server.got[2]["values"]
    assert values["test/accuracy_low"] < values["test/accuracy"] <= values["test/accuracy_high"]
    assert send_report(run.path, [run.path / "report.md"]) == {"server": 0}
    assert [found["kind"] for found in server.got[4:]] == ["file", "end"]


def test_an_address_with_a_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(write_task(tmp_path, tracking={"mlflow": "https://me:s3cret@host"}))
    assert "E1244" in {problem.code for problem in caught.value.problems}
    assert "s3cret" not in "\n".join(caught.value.lines())


def test_a_missing_package_is_told_with_what_to_install_before_anything_is_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.experiment.tracking.targets.find_spec", lambda name: None)
    config = load_config(write_task(tmp_path, tracking={"tensorboard": "board"}))
    with pytest.raises(UsageError) as caught:
        targets_of(config, tmp_path / "runs" / "r")
    assert caught.value.code == "E1245"
    assert 'pip install "rung[tracking]"' in "\n".join(caught.value.lines())


def told_run(folder: Path) -> tuple[list[Event], Path]:
    """Events of a small run with two steps, and its folder with a report."""
    run = folder / "desk-1"
    run.mkdir()
    (run / "report.md").write_text("# Few-shot is enough\n", "utf-8")
    steps = [
        event(
            "step", CELL.name, step=n, values={"train/loss": 2.0 / n, "train/learning_rate": 1e-3, "dev/score": 0.5 * n}
        )
        for n in (1, 2)
    ]
    return [
        event("run", values={"mode": "compare"}),
        *steps,
        event("step", f"{CELL.name}/seed-2", step=1, values={"train/loss": 3.0}),
        event("settings", CELL.name, values={"rank": 16, "method": "fine_tune"}),
        event("result", CELL.name, values={"test/accuracy": 0.75, "test/accuracy_low": 0.6}),
        event("end", CELL.name, status="done"),
        event("file", path="report.md"),
        event("file", path="gone.md"),
    ], run


def test_tensorboards_own_reader_finds_every_figure(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events, run = told_run(tmp_path)
    told = Tracker(run, Targets(tensorboard="../board"))
    told.tell(events)
    assert told.finish() == {"tensorboard": 0}
    board = tmp_path / "board" / "desk-1"

    def read(folder: Path) -> Any:
        found = EventAccumulator(str(folder))
        found.Reload()
        return found

    rung = read(board / CELL.name)
    assert [(s.step, s.value) for s in rung.Scalars("train/loss")] == [(1, 2.0), (2, 1.0)]
    assert [s.value for s in rung.Scalars("dev/score")] == [0.5, 1.0]
    assert rung.Scalars("test/accuracy_low")[0].value == pytest.approx(0.6)
    assert b"rank" in rung.Tensors("settings")[0].tensor_proto.string_val[0]
    assert [s.value for s in read(board / CELL.name / "seed-2").Scalars("train/loss")] == [3.0]
    assert (board / "report.md").read_text("utf-8").startswith("# Few-shot")
    assert b"Few-shot" in read(board).Tensors("report")[0].tensor_proto.string_val[0]


def test_a_bar_that_knows_no_trainings_is_still_moved(tmp_path: Path, server: Server) -> None:
    @dataclass
    class Plain(Silent):
        done: float = 0.0

        def update(self, done: float, total: float, note: str = "") -> None:
            self.done = done

    bar, told = Plain(), Tracker(tmp_path, TARGETS)
    TrainingWatch(tracking.TrackedProgress(bar, told, CELL))(LINE | {"step": 2})
    assert bar.done == pytest.approx(0.5)
    told.finish()
    assert [found["step"] for found in server.got] == [2]
