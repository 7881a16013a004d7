"""Several seeds of one training: each once, the best kept, the spread written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_fit import Notebook
from test_hyper_search import Trainer, trainings

from rung.core.errors import DataError, InterruptedRun
from rung.methods.seeds import shorter, train_seeds
from rung.training.settings import TrainSettings

HEIGHTS = {5: 0.71, 6: 0.74, 7: 0.69}


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    found = Trainer(height=lambda settings: HEIGHTS[settings.seed])
    monkeypatch.setattr("rung.methods.trainings.train", lambda *a, **k: found(*a, **k))
    return found


def test_the_best_seed_is_kept_and_the_spread_noted(tmp_path: Path, trainer: Trainer) -> None:
    notebook = Notebook()
    chosen = train_seeds(trainings(tmp_path, notebook=notebook), TrainSettings(seed=5), 3)
    assert chosen.settings.seed == 6
    assert chosen.trained.result.best == pytest.approx(0.74)
    assert [(s["seed"], s["best_dev"]) for s in notebook.notes["seeds"]] == list(HEIGHTS.items())
    spread = notebook.notes["seed_spread"]
    assert (spread["mean"], spread["spread"], spread["n"]) == (pytest.approx(0.7133, abs=1e-3), pytest.approx(0.05), 3)
    assert [found["seed"] for found in notebook.notes["seed_curves"]] == [5, 6, 7]
    # The rows and the weights of the others are gone: a person's rows must be found in one place.
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("rows.jsonl")] == ["training/rows.jsonl"]
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("adapter")] == ["training/adapter"]


def test_finished_seeds_are_not_trained_again(tmp_path: Path, trainer: Trainer) -> None:
    def kill(lines: int) -> None:
        if lines == 6:
            raise InterruptedRun("E4001", run="r")

    trainer.kill = kill
    with pytest.raises(InterruptedRun):
        train_seeds(trainings(tmp_path), TrainSettings(seed=5), 3)
    trainer.kill = lambda lines: None
    trainer.jobs.clear()
    notebook = Notebook()
    chosen = train_seeds(trainings(tmp_path, notebook=notebook), TrainSettings(seed=5), 3)
    assert [settings.seed for _, settings in trainer.jobs] == [6, 7]
    # A third call, after a kill between the choice and the candidate, trains nothing.
    trainer.jobs.clear()
    again = Notebook()
    assert train_seeds(trainings(tmp_path, notebook=again), TrainSettings(seed=5), 3) == chosen
    assert trainer.jobs == []
    assert again.notes == notebook.notes


def test_time_is_split_evenly(tmp_path: Path, trainer: Trainer) -> None:
    train_seeds(trainings(tmp_path, seconds=3000.0), TrainSettings(seed=5), 3)
    limits = [settings.max_seconds or 0.0 for _, settings in trainer.jobs]
    # The stand-in takes no time, so what one leaves goes to those after it.
    assert limits[0] == pytest.approx(1000 - 12, abs=2)
    assert limits[1] == pytest.approx(1500 - 12, abs=2)


def test_one_seed_that_fails_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Trainer(height=lambda settings: HEIGHTS[settings.seed])

    def train(folder: Path, job: Any, *rest: Any, **named: Any) -> Any:
        if job.settings.seed in failing:
            raise DataError("E2802", step=3, loss=0.0)
        return inner(folder, job, *rest, **named)

    failing = {6}
    monkeypatch.setattr("rung.methods.trainings.train", train)
    notebook = Notebook()
    chosen = train_seeds(trainings(tmp_path, notebook=notebook), TrainSettings(seed=5), 3)
    assert chosen.settings.seed == 5
    assert [(s["best_dev"], s["problem"]) for s in notebook.notes["seeds"]][1] == (None, "E2802")
    failing = {5, 6, 7}
    with pytest.raises(DataError, match="E2802"):
        train_seeds(trainings(tmp_path / "none"), TrainSettings(seed=5), 3)


def test_a_shorter_curve_keeps_every_scoring_of_dev() -> None:
    curve: list[dict[str, Any]] = [{"step": i, "loss": float(i % 2)} for i in range(1, 1001)]
    for i in (99, 499, 999):
        curve[i]["dev"] = 0.5
    found = shorter(curve, 50)
    assert len(found) <= 54
    assert [p["step"] for p in found if "dev" in p] == [100, 500, 1000]
    assert 0.4 < found[3]["loss"] < 0.6
