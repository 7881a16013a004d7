"""A small learning curve before a long training: three short runs on part of train, drawn out to the whole with a band."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rung.core.candidate import Candidate
from rung.core.hashing import seed_from
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.headroom import Headroom, affordable, too_dear
from rung.methods.slots import seeded_sample
from rung.methods.tuning import open_for
from rung.stats.intervals import Bounds, Floats
from rung.training.rows import render_rows
from rung.training.runner import train
from rung.training.settings import TrainSettings
from rung.training.work import Job

PARTS = (0.125, 0.25, 0.5)
"""Shares of train."""
LONG_SECONDS = 15 * 60.0
"""Trainings expected to be shorter are not probed: the probe would cost about as much as it could save."""
DEV_LIMIT = 32
"""Dev questions a checkpoint is scored on."""
_FEWEST_STEPS = 4
_DRAWS = 4_000


@dataclass(frozen=True)
class Point:
    """One short training."""

    seen: int
    """Rows that went through the model, repeated ones included."""
    score: float


def extrapolate(points: Sequence[Point], to: int, questions: int, *, level: float = 0.9) -> Bounds:
    """Where the curve stands after `to` rows: point estimate's band [1], by a straight line in log(rows).

    Accuracy over the logarithm of the data is close to straight in its middle and bends down towards its end, so the line errs
    upwards, which is the careful side here (Figueroa et al. 2012, "Predicting sample size required for classification
    performance", compare power laws; three points do not carry their three parameters). Band: parametric bootstrap of the
    three scores, each on `questions` dev questions with the variance of a share, at least that of one question going the other way.
    Capped to 0..1. Raises ValueError for fewer than two points.
    """
    if len(points) < 2:
        raise ValueError("a curve needs two points")
    x = np.log([point.seen for point in points])
    y = np.array([point.score for point in points])
    spread = np.sqrt(np.maximum(y * (1 - y), (1 - 1 / questions) / questions) / questions)
    rng = np.random.default_rng(seed_from("learning curve", to, questions))
    drawn = y + spread * rng.standard_normal((_DRAWS, len(points)))
    at = drawn @ _line(x, math.log(to))
    low, high = np.quantile(at, [(1 - level) / 2, (1 + level) / 2])
    return Bounds(np.clip([low], 0.0, 1.0), np.clip([high], 0.0, 1.0))


def _line(x: Floats, to: float) -> Floats:
    """Weights [n] of the points in the least-squares line's value at `to`."""
    centred = x - x.mean()
    weights: Floats = 1 / len(x) + (to - x.mean()) * centred / float(centred @ centred)
    return weights


def curve_headroom(
    fit: FitData,
    model: Model,
    budget: Budget,
    rung: Cost,
    candidate: Candidate,
    settings: TrainSettings,
    best: float | None,
) -> Headroom | None:
    """Whether full training can be expected to reach the best rung so far; None where the question is not worth its price.

    Each part gets one short run of its own with its own learning-rate schedule, cut so that all of them take a share of the rung's
    expected time. None seen: the band's upper end after the full training lies below `best` by the margin or more. A run that its
    time stopped is a point at the rows that it has seen, since its learning rate fell with the clock; after a few steps it says nothing.
    """
    if best is None or min(rung.seconds, budget.left) <= LONG_SECONDS:
        return None
    batches = len(fit.train) / settings.batch_size
    # One pass over every part takes sum(PARTS) passes over train.
    cut = min(1.0, affordable(budget, rung) / rung.seconds * settings.epochs / sum(PARTS))
    steps = [int(part * batches * cut) for part in PARTS]
    if min(steps) < _FEWEST_STEPS:
        return too_dear()
    points: list[Point] = []
    dev = seeded_sample(fit.dev, DEV_LIMIT, fit.seed, "checkpoints")
    opened = open_for(fit, candidate, model)
    # Rendered as the whole of train is, so that no row of a part is shown its duplicate or its group from the rest.
    every, asked = render_rows(opened, fit.train), render_rows(opened, dev)
    if hasattr(model, "release"):
        model.release()
    for part, count in zip(PARTS, steps, strict=True):
        limit = affordable(budget, rung) * part / sum(PARTS)
        shorter = replace(settings, epochs=1.0, max_steps=count, max_seconds=limit, evaluations=1)
        sample = seeded_sample(fit.train, int(part * len(fit.train)), fit.seed, "learning curve")
        kept = {example.id for example in sample}
        rows = [row for row in every if row.id in kept]
        budget.progress.update(len(points), len(PARTS), f"learning curve, {100 * part:g} % of train")
        folder = fit.folder / f"curve-{len(points)}"
        trained = train(folder, Job(model.ref, candidate, fit.task, shorter), rows, asked).result
        if trained.step < _FEWEST_STEPS:
            _tidy(fit)
            return Headroom("unknown", "E4517", {"part": f"{100 * part:g}"})
        points.append(Point(trained.step * settings.batch_size, trained.best))
    _tidy(fit)
    if points[0].seen == points[-1].seen:
        return Headroom("unknown", "E4517", {"part": f"{100 * PARTS[-1]:g}"})
    band = extrapolate(points, max(points[-1].seen, int(len(fit.train) * settings.epochs)), len(dev))
    values = {
        "scores": ", ".join(f"{point.score:.2f}" for point in points),
        "low": f"{band.low[0]:.2f}",
        "high": f"{band.high[0]:.2f}",
        "best": f"{best:.2f}",
    }
    if band.high[0] < best - fit.task.margin:
        return Headroom("none", "E4518", values)
    return Headroom("headroom", "E4519", values)


def _tidy(fit: FitData) -> None:
    """The short trainings are no part of the candidate, whose folder this becomes."""
    for number in range(len(PARTS)):
        shutil.rmtree(fit.folder / f"curve-{number}", ignore_errors=True)
