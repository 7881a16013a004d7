"""A learning curve from three short trainings: where it is drawn out to, and when a long training is not begun."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_fit import Notebook, fit

from rung.core.errors import Problem
from rung.core.method import Budget, Cost
from rung.methods.learning_curve import LONG_SECONDS, PARTS, Point, curve_headroom, extrapolate
from rung.methods.slots import new_candidate, prompt_slot
from rung.models.fake import FakeModel
from rung.training.progress import TrainingResult
from rung.training.runner import Job, Trained
from rung.training.settings import TrainSettings

LONG = Cost(seconds=4 * LONG_SECONDS)


def test_a_straight_line_in_log_rows_is_drawn_out_exactly() -> None:
    points = [Point(n, 0.1 * np.log2(n)) for n in (4, 8, 16)]
    band = extrapolate(points, 64, 10**9)
    assert (band.low[0], band.high[0]) == pytest.approx((0.6, 0.6), abs=1e-3)


def test_the_band_is_wide_for_few_questions_and_stays_between_0_and_1() -> None:
    points = [Point(100, 0.4), Point(200, 0.5), Point(400, 0.6)]
    few, many = extrapolate(points, 800, 30), extrapolate(points, 800, 3000)
    assert few.high[0] - few.low[0] > 5 * (many.high[0] - many.low[0])
    assert few.low[0] < 0.7 < few.high[0]
    steep = extrapolate([Point(100, 0.1), Point(200, 0.6), Point(400, 0.95)], 4000, 30)
    assert 0.0 <= steep.low[0] <= steep.high[0] == 1.0
    # All wrong on three runs is not certainty.
    assert extrapolate([Point(n, 0.0) for n in (1, 2, 4)], 8, 30).high[0] > 0.05


def test_the_band_holds_the_truth_about_as_often_as_it_says() -> None:
    rng, hits = np.random.default_rng(0), 0
    truth = 0.3 + 0.08 * np.arange(4)
    for _ in range(300):
        seen = rng.binomial(100, truth[:3]) / 100
        band = extrapolate([Point(2**i, s) for i, s in enumerate(seen)], 8, 100, level=0.9)
        hits += band.low[0] <= truth[3] <= band.high[0]
    assert 0.85 <= hits / 300 <= 0.95


def test_one_point_is_no_curve() -> None:
    with pytest.raises(ValueError, match="two points"):
        extrapolate([Point(5, 0.5)], 10, 30)


@dataclass
class Trainer:
    """In place of the child process: the scores that the runs reach, in order."""

    scores: list[float]
    stopped: str = "epochs"
    after: list[int] | None = None
    """Steps that each run gets done before its time stops it."""

    def __post_init__(self) -> None:
        self.jobs: list[tuple[Job, int]] = []

    def __call__(self, folder: Path, job: Job, rows: list[Any], dev: list[Any]) -> Trained:
        self.jobs.append((job, len(rows)))
        folder.mkdir(parents=True)
        steps = self.after[len(self.jobs) - 1] if self.after else job.settings.max_steps or 0
        score = self.scores[len(self.jobs) - 1]
        result = TrainingResult(self.stopped != "budget", self.stopped, steps, steps, steps, score, 1.0, 1.0, [])
        return Trained(folder, "", result)


def probe(
    folder: Path, monkeypatch: pytest.MonkeyPatch, trainer: Trainer, best: float | None, rung: Cost = LONG
) -> Any:
    monkeypatch.setattr("rung.methods.learning_curve.train", trainer)
    data, model = fit(folder, n=800), FakeModel(default="pos")
    plain = new_candidate(data, model, "fine_tune", prompt_slot(data.task))
    return curve_headroom(data, model, Budget(Notebook()), rung, plain, TrainSettings(), best)


def test_a_flat_curve_far_below_the_best_rung_has_no_headroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer([0.1, 0.1, 0.1])
    seen = probe(tmp_path, monkeypatch, trainer, 0.95)
    assert (seen.status, seen.code) == ("none", "E4518")
    text = Problem(seen.code, values=dict(seen.values)).message("zh")
    assert "{" not in text
    assert [rows for _, rows in trainer.jobs] == [int(part * 800) for part in PARTS]
    steps = [job.settings.max_steps for job, _ in trainer.jobs]
    # Three epochs of 100 steps each: the probe takes at most 15 % of them, twice as many rows each time.
    assert sum(steps) <= 0.15 * 300
    assert steps[1] == pytest.approx(2 * steps[0], abs=1)
    assert all(job.settings.max_seconds < 0.15 * LONG.seconds for job, _ in trainer.jobs)


@pytest.mark.parametrize("scores", [[0.3, 0.5, 0.7], [0.85, 0.85, 0.85]])
def test_a_rising_or_near_curve_has_headroom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: list[float]
) -> None:
    seen = probe(tmp_path, monkeypatch, Trainer(scores), 0.9)
    assert (seen.status, seen.code) == ("headroom", "E4519")


def test_a_run_that_its_time_stopped_is_a_point_at_what_it_has_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer([0.1, 0.1, 0.1], stopped="budget", after=[5, 9, 20])
    seen = probe(tmp_path, monkeypatch, trainer, 0.95)
    assert (seen.status, seen.code) == ("none", "E4518")


def test_a_run_stopped_after_a_few_steps_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer([0.0, 0.0, 0.0], stopped="budget", after=[2])
    seen = probe(tmp_path, monkeypatch, trainer, 0.95)
    assert (seen.status, seen.code) == ("unknown", "E4517")
    assert len(trainer.jobs) == 1
    # The candidate's folder is shipped: nothing of the probe stays in it.
    assert not list(tmp_path.rglob("curve-*"))


@pytest.mark.parametrize(("best", "seconds"), [(None, 9999.0), (0.9, LONG_SECONDS)])
def test_a_short_training_or_the_first_rung_is_not_probed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: float | None, seconds: float
) -> None:
    trainer = Trainer([])
    assert probe(tmp_path, monkeypatch, trainer, best, Cost(seconds=seconds)) is None
    assert trainer.jobs == []
