"""LoRA instruction tuning: any candidate without an adapter goes in, the same candidate with one comes out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rung.core.candidate import AdapterSlot, Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.estimate import training_cost
from rung.methods.headroom import Headroom
from rung.methods.learning_curve import DEV_LIMIT, curve_headroom
from rung.methods.slots import new_candidate, prompt_slot, seeded_sample
from rung.methods.tuning import open_for
from rung.training.rows import render_rows
from rung.training.runner import Job, Trained, train
from rung.training.sft import SftSettings

MIN_ROWS = 8
SFT_SETTINGS = frozenset(field.name for field in fields(SftSettings))
_START_SECONDS = 12.0
"""Starting the child and reading the weights, taken off a budget before training."""


class FineTune:
    """The plain instruction, learned from train."""

    name = "fine_tune"
    rank = 40
    settings = SFT_SETTINGS
    trained = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return training_blockers(fit, model)

    def estimate(self, fit: FitData, model: Model) -> Cost:
        return training_cost(fit, model, epochs=settings_from(fit.hints).epochs)

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        """Whether a long training can be expected to reach the best rung so far."""
        settings = settings_from({"seed": fit.seed, **fit.hints})
        return curve_headroom(fit, model, budget, self.estimate(fit, model), self._plain(fit, model), settings, best)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        return tune(fit, model, budget, self._plain(fit, model))

    def _plain(self, fit: FitData, model: Model) -> Candidate:
        return new_candidate(fit, model, self.name, prompt_slot(fit.task, layout="compact"))


def training_blockers(fit: FitData, model: Model) -> list[str]:
    if not model.capabilities.trainable:
        return ["E2405"]
    return [] if len(fit.train) >= MIN_ROWS else ["E2406"]


def settings_from(hints: Mapping[str, Any], **defaults: Any) -> SftSettings:
    """Hyper-parameters from a method's block of task.yaml, whose names the plan has checked."""
    return SftSettings(**{**defaults, **hints})


def tune(fit: FitData, model: Model, budget: Budget, candidate: Candidate, **defaults: Any) -> Candidate:
    """Train an adapter on rows rendered exactly as the candidate will be asked, and put it into its slot."""
    limit = None if budget.seconds is None else max(5.0, budget.left - _START_SECONDS)
    settings = settings_from({"max_seconds": limit, "seed": fit.seed, **fit.hints}, **defaults)
    opened = open_for(fit, candidate, model)
    rows = render_rows(opened, fit.train)
    dev = render_rows(opened, seeded_sample(fit.dev, DEV_LIMIT, fit.seed, "checkpoints"))
    # The child reads the weights for itself; two copies would not fit a small machine.
    if hasattr(model, "release"):
        model.release()

    def report(line: dict[str, Any]) -> None:
        done = max(line["step"] / line["planned"], line["seconds"] / limit if limit else 0.0)
        note = f"step {line['step']}/{line['planned']}, loss {line['loss']:.3f}"
        if "dev" in line:
            note += f", dev {line['dev']:.3f}"
        speed = line["tokens"] / max(1e-9, line["seconds"])
        budget.progress.update(min(1.0, done), 1.0, f"{note}, {speed:.0f} tokens/s")

    job = Job(model.ref, candidate, fit.task, settings)
    trained = train(fit.folder / "training", job, rows, dev, report=report)
    _note(budget, trained, settings)
    adapter = fit.folder / "adapter"
    shutil.rmtree(adapter, ignore_errors=True)
    shutil.copytree(trained.adapter, adapter)
    slot = AdapterSlot(path="adapter", sha256=trained.sha256, base=model.ref.id)
    return candidate.model_copy(update={"adapter": slot})


def _note(budget: Budget, trained: Trained, settings: SftSettings) -> None:
    result = trained.result
    budget.journal.note("converged", result.converged)
    budget.journal.note("stopped", result.stopped)
    budget.journal.note("curve", result.curve)
    budget.journal.note(
        "training",
        {
            "steps": result.step,
            "planned_steps": result.planned_steps,
            "best_step": result.best_step,
            "best_dev": result.best,
            "seconds": result.seconds,
            "tokens_per_second": result.tokens_per_second,
            "rank": settings.rank,
            "learning_rate": settings.learning_rate,
            "batch_size": settings.batch_size,
        },
    )
