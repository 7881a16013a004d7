"""The search for hyper-parameters, on a known surface in place of the child process."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_fit import Notebook, task

from rung.core.append_log import read_log
from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.errors import DataError, InterruptedRun, UsageError
from rung.core.method import Budget
from rung.core.model import ModelRef
from rung.methods.hyper_search import HyperSearch, hyper_search, hyper_search_of, shortened
from rung.methods.search_space import Choices, Range, usual_space, with_values
from rung.methods.trainings import RowCourse, Trainings, repeats, train_as_asked
from rung.training.progress import TrainingResult
from rung.training.runner import Trained
from rung.training.settings import TrainSettings
from rung.training.work import Job

EVALUATIONS = 4


def surface(settings: TrainSettings) -> float:
    """Best at a learning rate of 3e-4 and rank 32."""
    off = abs(math.log10(settings.rate / 3e-4))
    return max(0.0, 0.9 - 0.35 * off - 0.05 * abs(math.log2(settings.rank / 32)))


@dataclass
class Trainer:
    """In place of the child: reaches a surface's height over four scorings; `kill` is called with the number of lines so far."""

    height: Callable[[TrainSettings], float] = surface
    kill: Callable[[int], None] = lambda lines: None
    jobs: list[tuple[str, TrainSettings]] = field(default_factory=list)
    lines: int = 0

    def __call__(self, folder: Path, job: Job, rows: list[Any], dev: list[Any], *, report: Any) -> Trained:
        settings = job.settings
        if (folder / "result.json").is_file():
            return self._read(folder)
        self.jobs.append((folder.name, settings))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "adapter").mkdir(exist_ok=True)
        (folder / "rows.jsonl").write_text("{}\n", "utf-8")
        height, curve = self.height(settings), []
        for i in range(1, EVALUATIONS + 1):
            point = {"step": 10 * i, "loss": 2.0 / i, "seconds": float(i), "tokens": 100 * i, "rate": settings.rate}
            point |= {"norm": 1.0, "dev": round(height * i / EVALUATIONS, 5), "dev_loss": 1.0 / i}
            curve.append(point)
            self.lines += 1
            self.kill(self.lines)
            report(point | {"planned": 40})
        best = curve[-1]["dev"]
        (folder / "result.json").write_text(json.dumps({"best": best, "curve": curve}), "utf-8")
        return self._read(folder)

    @staticmethod
    def _read(folder: Path) -> Trained:
        found = json.loads((folder / "result.json").read_text("utf-8"))
        return Trained(
            folder / "adapter",
            folder.name,
            TrainingResult(True, "epochs", 40, 40, 40, found["best"], 4.0, 100.0, found["curve"]),
        )


def trainings(folder: Path, *, seed: int = 0, notebook: Notebook | None = None, **budget: Any) -> Trainings:
    reference = ModelRef(kind="fake", id="m")
    candidate = Candidate(
        method="fine_tune", model=reference, prompt=PromptSlot(instruction="x", fields=("text",)), output=OutputSlot()
    )
    job = Job(reference, candidate, task(), TrainSettings(seed=seed))
    course = RowCourse(job, [None] * 400, [None] * 8)  # type: ignore[list-item]
    return Trainings(folder, course, Budget(notebook or Notebook(), **budget))


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    found = Trainer()
    monkeypatch.setattr("rung.methods.trainings.train", lambda *a, **k: found(*a, **k))
    return found


SPACE = {"learning_rate": Range(1e-5, 1e-1, log=True), "rank": Choices((4, 8, 16, 32, 64))}


def test_it_finds_better_settings_than_chance_with_as_many_trials(tmp_path: Path, trainer: Trainer) -> None:
    found, drawn = [], []
    for seed in range(6):
        best = hyper_search(trainings(tmp_path / str(seed), seed=seed), HyperSearch(SPACE, trials=16))
        found.append(surface(best))
        rng = np.random.default_rng(seed)
        tried = [
            with_values(
                TrainSettings(),
                {"learning_rate": 10 ** rng.uniform(-5, -1), "rank": int(rng.choice([4, 8, 16, 32, 64]))},
            )
            for _ in range(16)
        ]
        drawn.append(max(map(surface, tried)))
    assert np.mean(found) > np.mean(drawn)
    assert np.mean(found) > 0.8


def test_the_first_trial_is_what_the_search_starts_from_so_that_it_cannot_lose(
    tmp_path: Path, trainer: Trainer
) -> None:
    trainer.height = lambda settings: 0.9 if settings.rate == TrainSettings().rate else 0.1
    best = hyper_search(trainings(tmp_path), HyperSearch(SPACE, trials=5))
    assert best.rate == TrainSettings().rate


def test_hopeless_trials_are_stopped_on_the_way_and_cost_less(tmp_path: Path, trainer: Trainer) -> None:
    trainer.height = lambda settings: 0.8 if settings.rate > 1e-4 else 0.0
    notebook = Notebook()
    hyper_search(trainings(tmp_path, notebook=notebook), HyperSearch(SPACE, trials=16))
    trials = notebook.notes["search"]["trials"]
    stopped = [trial for trial in trials if trial["state"] == "stopped"]
    assert stopped
    assert all(trial["values"]["learning_rate"] <= 1e-4 for trial in stopped)
    assert all(len(trial["seen"]) < EVALUATIONS for trial in stopped)
    assert trainer.lines < 16 * EVALUATIONS


def test_a_killed_search_goes_on_with_the_same_trials(tmp_path: Path, trainer: Trainer) -> None:
    search = HyperSearch(SPACE, trials=8)
    whole = hyper_search(trainings(tmp_path / "whole"), search)
    expected = read_log(tmp_path / "whole" / "search.jsonl")

    def kill(lines: int) -> None:
        if lines == 18:
            raise InterruptedRun("E4001", run="r")

    trainer.lines, trainer.kill = 0, kill
    with pytest.raises(InterruptedRun):
        hyper_search(trainings(tmp_path / "killed"), search)
    done = len(read_log(tmp_path / "killed" / "search.jsonl"))
    assert 2 < done < 8
    trainer.kill = lambda lines: None
    trainer.jobs.clear()
    again = hyper_search(trainings(tmp_path / "killed"), search)
    assert [name for name, _ in trainer.jobs] == [f"trial-{n}" for n in range(done + 1, 9)]
    assert again == whole
    assert read_log(tmp_path / "killed" / "search.jsonl") == expected
    assert not (tmp_path / "killed" / "search").exists()


def test_a_trial_that_fails_is_the_worst_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Trainer()

    def train(folder: Path, job: Job, *rest: Any, **named: Any) -> Trained:
        if job.settings.rate > 1e-3:
            raise DataError("E2802", step=3, loss=math.nan)
        return inner(folder, job, *rest, **named)

    monkeypatch.setattr("rung.methods.trainings.train", train)
    notebook = Notebook()
    best = hyper_search(trainings(tmp_path, notebook=notebook), HyperSearch(SPACE, trials=10))
    states = {trial["state"] for trial in notebook.notes["search"]["trials"]}
    assert "failed" in states
    assert best.rate <= 1e-3
    monkeypatch.setattr(
        "rung.methods.trainings.train", lambda *a, **k: (_ for _ in ()).throw(DataError("E2802", step=1, loss=0))
    )
    with pytest.raises(UsageError) as caught:
        hyper_search(trainings(tmp_path / "none"), HyperSearch(SPACE, trials=3))
    assert caught.value.code == "E2443"
    assert "E2802" in str(caught.value)


def test_without_time_the_search_ends_with_what_it_knows(tmp_path: Path, trainer: Trainer) -> None:
    notebook = Notebook()
    hyper_search(trainings(tmp_path, notebook=notebook, seconds=0.0), HyperSearch(SPACE, trials=9))
    assert len(notebook.notes["search"]["trials"]) == 1
    assert notebook.notes["search"]["planned"] == 9


def test_what_matters_is_told_apart_from_what_does_not(tmp_path: Path, trainer: Trainer) -> None:
    trainer.height = lambda settings: max(0.0, 0.9 - 0.3 * abs(math.log10(settings.rate / 3e-4)))
    notebook = Notebook()
    hyper_search(trainings(tmp_path, notebook=notebook), HyperSearch(SPACE, trials=14))
    shares = notebook.notes["search"]["importance"]
    assert sum(shares.values()) == pytest.approx(1.0, abs=0.01)
    assert shares["learning_rate"] > 0.6
    few = Notebook()
    hyper_search(trainings(tmp_path / "few", notebook=few), HyperSearch(SPACE, trials=3))
    assert few.notes["search"]["importance"] == {}


def test_what_task_yaml_may_ask_for() -> None:
    base = TrainSettings()
    assert hyper_search_of({}, base) is None
    assert hyper_search_of({"search": False}, base) is None
    usual = hyper_search_of({"search": True}, base)
    assert usual is not None
    assert usual.trials == 8
    assert set(usual.space) == {"learning_rate", "rank", "epochs", "batch_size", "dropout", "schedule"}
    asked = hyper_search_of(
        {"search": {"trials": 4, "learning_rate": [1e-5, 1e-3], "rank": [8, 32], "dropout": [0, 0.1]}}, base
    )
    assert asked is not None
    assert asked.space == {
        "learning_rate": Range(1e-5, 1e-3, log=True),
        "rank": Choices((8, 32)),
        "dropout": Range(0.0, 0.1),
    }
    assert set(usual_space(TrainSettings(adapter="prefix"))).isdisjoint({"rank", "dropout"})
    assert repeats({"seeds": 3, "search": 8}, base) == 5.0


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"search": {"seed": [1, 2]}}, "E2441"),
        ({"search": {"learning_rate": 1e-3}}, "E2442"),
        ({"search": {"learning_rate": [1e-3, 1e-5]}}, "E2442"),
        ({"search": {"rank": ["8", "16"]}}, "E2442"),
        ({"search": {"rank": [0, 8]}}, "E2460"),
        ({"search": {"optimiser": ["adamw", "magic"]}}, "E2460"),
        ({"search": {"trials": 1}}, "E2444"),
        ({"search": {"share": 2}}, "E2444"),
        ({"search": "wide"}, "E2442"),
        ({"seeds": 0}, "E2440"),
        ({"seeds": True}, "E2440"),
        ({"seeds": "three"}, "E2440"),
    ],
)
def test_what_it_may_not_is_refused_before_anything_is_spent(asked: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        repeats(asked, TrainSettings())
    assert caught.value.code == code


def test_a_trial_is_a_part_of_a_training_with_enough_steps_to_say_something() -> None:
    short = shortened(TrainSettings(epochs=4.0, batch_size=8), 800, 0.25)
    assert short.epochs == 1.0
    tiny = shortened(TrainSettings(epochs=4.0, batch_size=8), 32, 0.25)
    assert math.ceil(tiny.epochs * 32 / 8) == 8
    assert with_values(TrainSettings(rank=16, alpha=32), {"rank": 64}).alpha == 128


def test_search_and_seeds_train_the_best_settings_in_full_in_the_rungs_own_folder(
    tmp_path: Path, trainer: Trainer
) -> None:
    notebook = Notebook()
    asked = {"search": {"trials": 4, "rank": [16, 32]}, "seeds": 2}
    chosen = train_as_asked(trainings(tmp_path, notebook=notebook), asked)
    assert chosen.settings.rank == 32
    assert chosen.settings.epochs == TrainSettings().epochs
    assert [name for name, _ in trainer.jobs] == ["trial-1", "trial-2", "trial-3", "trial-4", "seed-1", "seed-2"]
    assert chosen.trained.adapter == tmp_path / "training" / "adapter"
    assert {path.name for path in tmp_path.iterdir()} == {"search.jsonl", "seeds", "training"}
