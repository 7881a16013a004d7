"""Reinforcement: the model draws answers to train's questions, and the task's own metric rewards them (GRPO, RLOO)."""

from __future__ import annotations

from typing import Any

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.registry import find
from rung.core.task import FitData
from rung.methods.estimate import training_cost
from rung.methods.fine_tune import TRAINING, settings_from, training_blockers, tune
from rung.methods.preference import gentle_rate, soft_blockers
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.trainings import repeats
from rung.training.settings import TrainSettings


class Reinforce:
    """The plain instruction, and answers that score made likelier. It needs a model that is right at times: `fine_tune+reinforce`."""

    name = "reinforce"
    rank = 70
    settings = TRAINING
    trained = True
    opt_in = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        found = training_blockers(fit, model) or soft_blockers(fit)
        if "judge" in getattr(find("metric", fit.task.metric), "needs", ()):
            found = [*found, "E2421"]
        return found

    def estimate(self, fit: FitData, model: Model) -> Cost:
        settings = _settings(fit)
        # Choices are scored once for all answers to a question; texts are written one by one.
        drawing = 1.0 if fit.task.output.kind == "label" else float(settings.generations)
        longer = (settings.generations + drawing) * repeats(fit.hints, settings)
        return training_cost(fit, model, epochs=settings.epochs, longer=longer, settings=settings, kind="reinforce")

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        plain = new_candidate(fit, model, self.name, prompt_slot(fit.task, layout="compact"))
        return self.train_on(fit, model, budget, plain)

    def train_on(self, fit: FitData, model: Model, budget: Budget, candidate: Candidate) -> Candidate:
        """The candidate with its slot for trained weights filled, beginning from those that it has already."""
        return tune(fit, model, budget, candidate, kind="reinforce", **_defaults(fit))


def _settings(fit: FitData) -> TrainSettings:
    return settings_from({"seed": fit.seed, **fit.hints}, **_defaults(fit))


def _defaults(fit: FitData) -> dict[str, Any]:
    # Answers are the model's own at every step, and dev chooses among steps: nothing else need hold it to where it began.
    return {"learning_rate": gentle_rate(fit), "epochs": 1.0, "beta": 0.0}
