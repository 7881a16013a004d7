"""LoRA instruction tuning: any candidate without an adapter goes in, the same candidate with one comes out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from rung.core.candidate import AdapterSlot, Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.canaries import plant
from rung.methods.estimate import training_cost
from rung.methods.headroom import Headroom
from rung.methods.learning_curve import DEV_LIMIT, curve_headroom
from rung.methods.seeds import shorter
from rung.methods.slots import new_candidate, prompt_slot, seeded_sample
from rung.methods.trainings import REPEATS, RowCourse, Trainings, repeats, train_as_asked
from rung.methods.tuning import open_for
from rung.training.attach import slot_kind
from rung.training.progress import TrainingResult
from rung.training.rows import TrainingRow, render_rows
from rung.training.settings import TrainSettings
from rung.training.work import Job, Kind

MIN_ROWS = 8
_POINTS = 1000
"""Points of a curve that are kept; a longer one stays whole in the training's `result.json`."""
CANARIES = "canaries"
"""How many random secrets are planted among the rows, to measure afterwards what the model memorises."""
TRAINING = frozenset(field.name for field in fields(TrainSettings)) | REPEATS | {CANARIES}
"""Names that a block of task.yaml may set for a training, for how often it is done, and for what is planted in it."""


class FineTune:
    """The plain instruction, learned from train."""

    name = "fine_tune"
    rank = 40
    settings = TRAINING
    trained = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return training_blockers(fit, model)

    def estimate(self, fit: FitData, model: Model) -> Cost:
        settings = settings_from(fit.hints)
        return training_cost(fit, model, epochs=settings.epochs, longer=repeats(fit.hints, settings))

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        """Whether a long training can be expected to reach the best rung so far."""
        settings = settings_from({"seed": fit.seed, **fit.hints})
        return curve_headroom(fit, model, budget, self.estimate(fit, model), self._plain(fit, model), settings, best)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        return self.train_on(fit, model, budget, self._plain(fit, model))

    def train_on(self, fit: FitData, model: Model, budget: Budget, candidate: Candidate) -> Candidate:
        """The candidate with its slot for trained weights filled, beginning from those that it has already."""
        return tune(fit, model, budget, candidate)

    def _plain(self, fit: FitData, model: Model) -> Candidate:
        return new_candidate(fit, model, self.name, prompt_slot(fit.task, layout="compact"))


def training_blockers(fit: FitData, model: Model) -> list[str]:
    if not model.capabilities.trainable:
        return ["E2405"]
    return [] if len(fit.train) >= MIN_ROWS else ["E2406"]


def settings_from(hints: Mapping[str, Any], **defaults: Any) -> TrainSettings:
    """Hyper-parameters from a method's block of task.yaml, whose names the plan has checked."""
    own = REPEATS | {CANARIES}
    return TrainSettings(**{name: value for name, value in {**defaults, **hints}.items() if name not in own})


def tune(
    fit: FitData,
    model: Model,
    budget: Budget,
    candidate: Candidate,
    *,
    kind: Kind = "targets",
    rows: Sequence[TrainingRow] | None = None,
    **defaults: Any,
) -> Candidate:
    """Train on rows rendered exactly as the candidate will be asked, and put the weights into its slot.

    `rows`: other rows than train's answers. A candidate that has trained weights in `fit.folder` already is trained further.
    """
    settings = settings_from({"seed": fit.seed, **fit.hints}, **defaults)
    asked = candidate.model_copy(update={"adapter": None})
    opened = open_for(fit, asked, model)
    rows = render_rows(opened, fit.train) if rows is None else rows
    if secrets := int(fit.hints.get(CANARIES, 0)):
        rows = plant(opened, rows, secrets, fit.folder, seed=fit.seed, language=fit.task.language)
    dev = render_rows(opened, seeded_sample(fit.dev, DEV_LIMIT, fit.seed, "checkpoints"))
    start = "" if candidate.adapter is None else str((fit.folder / candidate.adapter.path).resolve())
    # The child reads the weights for itself; two copies would not fit a small machine.
    if hasattr(model, "release"):
        model.release()

    job = Job(model.ref, asked, fit.task, settings, kind, start, budget.processes)
    chosen = train_as_asked(Trainings(fit.folder, RowCourse(job, rows, dev), budget), fit.hints)
    trained, settings = chosen.trained, chosen.settings
    note_training(budget, trained.result, settings)
    adapter = fit.folder / "adapter"
    shutil.rmtree(adapter, ignore_errors=True)
    shutil.copytree(trained.adapter, adapter)
    slot = AdapterSlot(path="adapter", sha256=trained.sha256, base=model.ref.id, kind=slot_kind(settings))
    return candidate.model_copy(update={"adapter": slot})


def note_training(budget: Budget, result: TrainingResult, settings: TrainSettings) -> None:
    """What the report says of a training."""
    budget.journal.note("converged", result.converged)
    budget.journal.note("stopped", result.stopped)
    budget.journal.note("curve", shorter(result.curve, _POINTS))
    budget.journal.note(
        "training",
        {
            "steps": result.step,
            "planned_steps": result.planned_steps,
            "best_step": result.best_step,
            "best_dev": result.best,
            "seconds": result.seconds,
            "tokens_per_second": result.tokens_per_second,
            "settings": {name: value for name, value in asdict(settings).items() if name != "max_seconds"},
            "learning_rate": settings.rate,
            "notes": result.notes,
            "facts": result.facts,
        },
    )
