"""Several seeds: the same training begun from other random numbers, to see how much of a score is luck."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from rung.core.durable import write_json
from rung.core.errors import UsageError
from rung.methods.attempts import Piece, attempts, shares
from rung.methods.trainings import Chosen, Trainings
from rung.methods.watching import Part
from rung.training.progress import TrainingResult
from rung.training.settings import TrainSettings

MOST_SEEDS = 20
_POINTS = 150


@dataclass(frozen=True)
class _Seed:
    """One seed's training, finished or failed."""

    seed: int
    result: TrainingResult | None
    problem: str = ""

    @property
    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = {"seed": self.seed, "best_dev": None, "seconds": 0.0, "problem": self.problem}
        if self.result is not None:
            found |= {"seconds": round(self.result.seconds, 1)}
            # Where dev was never scored there is no best.
            found |= {"best_dev": self.result.best} if self.result.best_step else {}
        return found


def seeds_of(hints: Mapping[str, Any]) -> int:
    """How many seeds a method's settings ask for. Raises UsageError E2440."""
    value = hints.get("seeds", 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_SEEDS:
        raise UsageError("E2440", value=value, most=MOST_SEEDS)
    return value


def train_seeds(trainings: Trainings, settings: TrainSettings, n: int, *, begins: float = 0.0) -> Chosen:
    """Train with `n` seeds in sub-folders, each with an even part of the time left, and keep the best on dev.

    Where there are workers, all seeds are trained at the same time. A seed that is finished is not trained again. Of equal dev scores the one with the lower dev loss is kept. Notes `seeds`,
    `seed_spread` and `seed_curves`. A seed that fails is counted; raises its error when all do.
    """
    home, place = trainings.folder / "seeds", trainings.folder / "training"
    kept = home / "chosen.json"
    if not kept.is_file():
        workers = trainings.workers if trainings.workers and trainings.workers.count() > 1 else None
        pieces = [
            Piece(
                home / f"seed-{i + 1}",
                replace(settings, seed=settings.seed + i),
                Part(f"seed-{i + 1}", i + 1, n, begins + (1 - begins) * i / n, (1 - begins) / n),
                share,
            )
            for i, share in enumerate(shares(n, workers))
        ]
        made = sorted(attempts(trainings, pieces, workers), key=lambda attempt: attempt.place)
        found = [
            _Seed(
                settings.seed + attempt.place,
                attempt.trained.result if attempt.trained else None,
                attempt.problem.code if attempt.problem else "",
            )
            for attempt in made
        ]
        best = _best(found)
        if best is None:
            problem = made[-1].problem
            assert problem is not None
            raise problem
        write_json(kept, {"chosen": best, **_notes(found)})
    record = json.loads(kept.read_text("utf-8"))
    for name in ("seeds", "seed_spread", "seed_curves"):
        trainings.budget.journal.note(name, record[name])
    _keep(home, place, record["chosen"])
    settings = replace(settings, seed=record["seeds"][record["chosen"]]["seed"])
    return Chosen(trainings.one(place, settings), settings)


def _best(found: Sequence[_Seed]) -> int | None:
    done = [i for i, seed in enumerate(found) if seed.result is not None]
    return max(done, key=lambda i: _standing(found[i].result), default=None)


def _standing(result: TrainingResult | None) -> tuple[float, float]:
    assert result is not None
    at_best = [p["dev_loss"] for p in result.curve if p["step"] == result.best_step and "dev_loss" in p]
    return result.best, -at_best[0] if at_best else 0.0


def _notes(found: Sequence[_Seed]) -> dict[str, Any]:
    scores = [seed.result.best for seed in found if seed.result is not None and seed.result.best_step]
    spread = {"mean": fmean(scores), "spread": max(scores) - min(scores), "n": len(scores)} if scores else {}
    return {
        "seeds": [seed.record for seed in found],
        "seed_spread": spread,
        "seed_curves": [
            {"seed": seed.seed, "curve": shorter(seed.result.curve, _POINTS)}
            for seed in found
            if seed.result is not None
        ],
    }


def shorter(curve: Sequence[Mapping[str, Any]], most: int) -> list[dict[str, Any]]:
    """About `most` points of a curve: every scoring of dev, and between them the mean loss of so many steps."""
    size = max(1, -(-len(curve) // most))
    points: list[dict[str, Any]] = []
    waiting: list[float] = []
    for i, point in enumerate(curve):
        waiting.append(float(point.get("loss", 0.0)))
        if "dev" in point or len(waiting) >= size or i == len(curve) - 1:
            points.append({**point, "loss": round(fmean(waiting), 5)})
            waiting = []
    return points


def _keep(home: Path, place: Path, chosen: int) -> None:
    """The best seed's folder becomes the rung's `training/`; of the others their results stay."""
    best = home / f"seed-{chosen + 1}"
    if best.is_dir():
        shutil.rmtree(place, ignore_errors=True)
        best.rename(place)
    for folder in home.glob("seed-*"):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != "result.json":
                path.unlink()
