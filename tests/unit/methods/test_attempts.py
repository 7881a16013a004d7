"""Trainings by workers: waves that no clock decides, the same again after a kill, seeds that come out as they would one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crew import Crew
from small_fit import Notebook
from test_hyper_search import EVALUATIONS, SPACE, Trainer, surface, trainings

from rung.core.append_log import read_log
from rung.core.errors import BackendError, DataError, InterruptedRun
from rung.methods.hyper_search import HyperSearch, hyper_search, hyper_search_of
from rung.methods.seeds import train_seeds
from rung.methods.trainings import Trainings, trains_often
from rung.methods.watching import Moment
from rung.training.progress import TrainingResult
from rung.training.settings import TrainSettings
from rung.training.work import Job


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """In place of the child process, here and at workers."""
    found = Trainer()

    def write_job(folder: Path, job: Job, *rows: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job.json").write_text(json.dumps(asdict(job.settings)), "utf-8")

    def run_child(folder: Path, report: Callable[[dict[str, Any]], None]) -> TrainingResult:
        job: Any = SimpleNamespace(settings=TrainSettings(**json.loads((folder / "job.json").read_text("utf-8"))))
        return found(folder, job, [], [], report=report).result

    monkeypatch.setattr("rung.methods.trainings.write_job", write_job)
    monkeypatch.setattr("rung.methods.trainings.train", lambda *a, **k: found(*a, **k))
    monkeypatch.setattr("rung.methods.attempts.run_child", run_child)
    return found


def backwards(places: list[int]) -> list[int]:
    return places[::-1]


def log_of(given: Trainings) -> list[dict[str, Any]]:
    return sorted(read_log(given.folder / "search.jsonl"), key=lambda line: int(line["number"]))


SEARCH = HyperSearch(SPACE, trials=9)


def test_a_wave_is_drawn_together_and_no_order_of_its_ends_changes_anything(tmp_path: Path, trainer: Trainer) -> None:
    one, other = (trainings(tmp_path / name, workers=Crew(4, turn)) for name, turn in (("a", list), ("b", backwards)))
    assert hyper_search(one, SEARCH) == hyper_search(other, SEARCH)
    log = log_of(one)
    assert log == log_of(other)
    assert [line.get("wave") for line in log] == [0, 0, 0, 0, 4, 4, 4, 4, None]
    assert len({json.dumps(line["values"]) for line in log}) == 9
    assert log[0]["values"]["learning_rate"] == TrainSettings().rate
    assert isinstance(one.budget.workers, Crew)
    assert [len(sent) for sent in one.budget.workers.sent] == [4, 4, 1]
    assert not (one.folder / "search").exists()


def test_trials_are_stopped_by_what_earlier_waves_reached_and_by_nothing_else(tmp_path: Path, trainer: Trainer) -> None:
    trainer.height = lambda settings: 0.8 if settings.rate > 1e-4 else 0.0
    given = trainings(tmp_path, workers=Crew(8, backwards))
    hyper_search(given, HyperSearch(SPACE, trials=24, parallel=8))
    log = log_of(given)
    bad = [line for line in log if line["values"]["learning_rate"] <= 1e-4]
    assert {line["state"] for line in bad if line["wave"] == 0} == {"done"}
    stopped = [line for line in bad if line["wave"] > 0]
    assert stopped
    assert {line["state"] for line in stopped} == {"stopped"}
    assert all(len(line["seen"]) < EVALUATIONS for line in stopped)
    assert trainer.lines < 24 * EVALUATIONS


@pytest.mark.parametrize("crew", [4, 2, None], ids=["as-many", "fewer", "none"])
def test_a_killed_search_draws_the_same_wave_again_whoever_makes_the_rest(
    tmp_path: Path, trainer: Trainer, crew: int | None
) -> None:
    search = HyperSearch(SPACE, trials=8)
    whole = hyper_search(trainings(tmp_path / "whole", workers=Crew(4)), search)
    expected = log_of(trainings(tmp_path / "whole"))

    def strike(made: int) -> None:
        if made == 6:
            raise InterruptedRun("E4001", run="r")

    with pytest.raises(InterruptedRun):
        hyper_search(trainings(tmp_path / "killed", workers=Crew(4, backwards, strike)), search)
    assert sorted(line["number"] for line in log_of(trainings(tmp_path / "killed"))) == [0, 1, 2, 3, 6, 7]
    trainer.jobs.clear()
    given = trainings(tmp_path / "killed", workers=crew and Crew(crew))
    assert hyper_search(given, search) == whole
    assert sorted(name for name, _ in trainer.jobs) == ["trial-5", "trial-6"]
    assert log_of(given) == expected


def test_a_wave_whose_last_trials_are_missing_is_gone_on_with(tmp_path: Path, trainer: Trainer) -> None:
    whole = trainings(tmp_path / "whole", workers=Crew(4))
    hyper_search(whole, HyperSearch(SPACE, trials=8))

    def strike(made: int) -> None:
        if made == 5:
            raise InterruptedRun("E4001", run="r")

    with pytest.raises(InterruptedRun):
        hyper_search(trainings(tmp_path / "killed", workers=Crew(4, strike=strike)), HyperSearch(SPACE, trials=8))
    given = trainings(tmp_path / "killed", workers=Crew(4))
    hyper_search(given, HyperSearch(SPACE, trials=8))
    assert log_of(given) == log_of(whole)


def test_one_at_a_time_is_the_search_without_workers(tmp_path: Path, trainer: Trainer) -> None:
    alone = trainings(tmp_path / "alone")
    expected = hyper_search(alone, SEARCH), log_of(alone)
    idle = Crew(1)
    for name, search, crew, changes in (
        ("parallel", HyperSearch(SPACE, 9, parallel=1), Crew(4), {}),
        ("one", SEARCH, idle, {}),
        ("devices", SEARCH, Crew(4), {"processes": 2}),
    ):
        given = trainings(tmp_path / name, workers=crew, **changes)
        assert (hyper_search(given, search), log_of(given)) == expected
        assert crew.sent == []
    assert all("wave" not in line for line in expected[1])


def test_a_wave_of_a_stated_size_does_not_depend_on_the_workers(tmp_path: Path, trainer: Trainer) -> None:
    few, many = (trainings(tmp_path / str(n), workers=Crew(n)) for n in (1, 8))
    search = HyperSearch(SPACE, trials=7, parallel=3)
    assert hyper_search(few, search) == hyper_search(many, search)
    assert log_of(few) == log_of(many)


def test_time_is_shared_by_those_that_work_one_after_another(tmp_path: Path, trainer: Trainer) -> None:
    # Two waves of two on two workers, then two seeds together: each round gets its part of the time.
    hyper_search(trainings(tmp_path, seconds=6000.0, workers=Crew(2)), HyperSearch(SPACE, trials=4), coming=2)
    limits = [settings.max_seconds or 0.0 for _, settings in trainer.jobs]
    assert limits[:2] == pytest.approx([6000 * 0.25 / 1.5 - 12] * 2, abs=20)
    train_seeds(trainings(tmp_path / "s", seconds=3000.0, workers=Crew(2)), TrainSettings(seed=5), 3)
    limits = [settings.max_seconds or 0.0 for _, settings in trainer.jobs[4:]]
    assert limits == pytest.approx([1500 - 12] * 3, abs=20)


class Seen(Notebook):
    """A progress that takes moments."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[Moment] = []

    def update(self, done: float, total: float, note: str = "") -> None:
        return None

    def record(self, moment: Moment) -> None:
        self.moments.append(moment)


def test_seeds_by_workers_are_those_made_one_by_one(tmp_path: Path, trainer: Trainer) -> None:
    trainer.height = lambda settings: {5: 0.71, 6: 0.74, 7: 0.69}[settings.seed]
    books, seen = [Notebook(), Notebook()], [Seen(), Seen()]
    crew = Crew(3)
    alone = train_seeds(trainings(tmp_path / "alone", notebook=books[0], progress=seen[0]), TrainSettings(seed=5), 3)
    apart = train_seeds(
        trainings(tmp_path / "apart", notebook=books[1], progress=seen[1], workers=crew), TrainSettings(seed=5), 3
    )
    assert apart.settings == alone.settings
    assert apart.trained.result == alone.trained.result
    assert apart.trained.adapter == tmp_path / "apart" / "training" / "adapter"
    assert books[1].notes == books[0].notes
    # Curves are kept and sent just as if they had been made here.
    assert seen[1].moments == seen[0].moments
    assert len(seen[1].moments) == 3 * EVALUATIONS


def test_finished_seeds_are_not_sent_again_and_a_failed_one_costs_only_itself(tmp_path: Path, trainer: Trainer) -> None:
    def height(settings: TrainSettings) -> float:
        if settings.seed in failing:
            raise DataError("E2802", step=3, loss=0.0)
        return 0.1 * settings.seed

    def strike(made: int) -> None:
        if made == 1:
            raise InterruptedRun("E4001", run="r")

    failing, trainer.height = {6}, height
    with pytest.raises(InterruptedRun):
        train_seeds(trainings(tmp_path, workers=Crew(3, strike=strike)), TrainSettings(seed=5), 3)
    crew, notebook = Crew(3, backwards), Notebook()
    chosen = train_seeds(trainings(tmp_path, notebook=notebook, workers=crew), TrainSettings(seed=5), 3)
    assert [[order.part.name for order in sent] for sent in crew.sent] == [["seed-2", "seed-3"]]
    assert chosen.settings.seed == 7
    assert [seed["problem"] for seed in notebook.notes["seeds"]] == ["", "E2802", ""]
    failing = {5, 6, 7}
    with pytest.raises(DataError, match="E2802") as caught:
        train_seeds(trainings(tmp_path / "none", workers=Crew(3)), TrainSettings(seed=5), 3)
    assert caught.value.problems[0].values["step"] == 3


def test_a_folder_that_only_one_side_sees_is_named(
    tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rung.methods.trainings.write_job", lambda folder, *rest: folder.mkdir(parents=True))
    with pytest.raises(BackendError) as caught:
        hyper_search(trainings(tmp_path / "there", workers=Crew(2)), SEARCH)
    assert caught.value.code == "E3061"
    assert caught.value.problems[0].values["path"] == tmp_path / "there" / "search" / "trial-1"


def test_worse_settings_never_win_for_being_tried_together(tmp_path: Path, trainer: Trainer) -> None:
    together = hyper_search(trainings(tmp_path, workers=Crew(4)), HyperSearch(SPACE, trials=16))
    assert surface(together) > 0.75


@pytest.mark.parametrize(
    ("hints", "often"),
    [
        ({}, False),
        ({"seeds": 1, "search": False}, False),
        ({"seeds": 2}, True),
        ({"search": 8}, True),
        ({"search": {"trials": 4}}, True),
        ({"search": "exhaustive", "grid": "wide"}, False),
        ({"fine_tune": {"rank": 8}, "preference": {"seeds": 3}}, True),
        ({"rag": {"search": "race"}, "fine_tune": {}}, False),
    ],
)
def test_what_consists_of_several_trainings(hints: dict[str, Any], often: bool) -> None:
    assert trains_often(hints) is often


def test_how_many_trials_task_yaml_may_ask_for_at_once() -> None:
    asked = hyper_search_of({"search": {"trials": 12, "parallel": 6}}, TrainSettings())
    assert asked is not None
    assert (asked.at_once(Crew(2)), asked.at_once(None)) == (6, 1)
    usual = hyper_search_of({"search": True}, TrainSettings())
    assert usual is not None
    assert [usual.at_once(Crew(n)) for n in (1, 3, 64)] == [1, 3, 4]
    for wrong in (0, True, 1.5, "4", 10_000):
        with pytest.raises(Exception, match="E2444"):
            hyper_search_of({"search": {"parallel": wrong}}, TrainSettings())
