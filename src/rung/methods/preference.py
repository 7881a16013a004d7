"""Preference tuning: pairs of a better and a worse answer, thumbs, or the model's own errors, learned by DPO, IPO, ORPO or KTO."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.estimate import training_cost
from rung.methods.fine_tune import TRAINING, settings_from, training_blockers, tune
from rung.methods.own_errors import with_own_errors
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.trainings import repeats
from rung.methods.tuning import open_for
from rung.training.settings import LEARNING_RATE, TrainSettings

_OWN = frozenset({"own_errors"})
_GENTLER = 0.1
"""A preference is learned at this share of the rate at which answers are: the model should stay close to where it began."""
_EPOCHS = 2.0
_LONGER = 4.0
"""A pair is two rows, and the reference model reads both as well; asking for own errors comes on top."""


class Preference:
    """The plain instruction, and of two answers the better one made likelier. Best behind fine_tune, as `fine_tune+preference`.

    `own_errors`: where the data has no pair and no thumb, pairs are made of what the model answers wrongly itself.
    """

    name = "preference"
    rank = 55
    settings = TRAINING | _OWN
    trained = True
    opt_in = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        if not fit.hints.get("own_errors", True) and not has_feedback(fit):
            return [*training_blockers(fit, model), "E2420"]
        return training_blockers(fit, model) or soft_blockers(fit)

    def estimate(self, fit: FitData, model: Model) -> Cost:
        settings = preference_settings(fit)
        longer = _LONGER * repeats(training_hints(fit), settings)
        return training_cost(fit, model, epochs=settings.epochs, longer=longer, settings=settings, kind="preference")

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        plain = new_candidate(fit, model, self.name, prompt_slot(fit.task, layout="compact"))
        return self.train_on(fit, model, budget, plain)

    def train_on(self, fit: FitData, model: Model, budget: Budget, candidate: Candidate) -> Candidate:
        """The candidate with its slot for trained weights filled, beginning from those that it has already."""
        settings = preference_settings(fit)
        learned = replace(fit, hints=training_hints(fit))
        if fit.hints.get("own_errors", True) and not has_feedback(fit):
            # The errors of the weights that training begins from: others would not be its own.
            opened = open_for(fit, candidate, model if candidate.adapter is None else None)
            made = with_own_errors(learned, opened, budget, settings.temperature)
            budget.journal.note("own_errors", {"asked": made.asked, "pairs": made.found})
            learned = made.fit
            if hasattr(opened.model, "release"):
                opened.model.release()
        if settings.loss == "kto":
            learned = replace(learned, train=(*learned.train, *learned.disliked))
        return tune(learned, model, budget, candidate, kind="preference", **_defaults(fit))


def has_feedback(fit: FitData) -> bool:
    """Whether the training data says of any answer that it is worse than another, or was not liked."""
    return bool(fit.disliked) or any(example.rejected for example in fit.train)


def preference_settings(fit: FitData) -> TrainSettings:
    return settings_from({"seed": fit.seed, **training_hints(fit)}, **_defaults(fit))


def training_hints(fit: FitData) -> dict[str, Any]:
    """What a block of task.yaml says about training itself."""
    return {name: value for name, value in fit.hints.items() if name not in _OWN}


def soft_blockers(fit: FitData) -> list[str]:
    return ["E2423"] if settings_from(training_hints(fit)).soft else []


def gentle_rate(fit: FitData) -> float:
    """The learning rate where none is given."""
    adapter: Any = fit.hints.get("adapter", "lora")
    return _GENTLER * LEARNING_RATE.get(adapter, LEARNING_RATE["lora"])


def _defaults(fit: FitData) -> dict[str, Any]:
    paired = any(example.rejected for example in fit.train) or not fit.disliked
    return {"learning_rate": gentle_rate(fit), "epochs": _EPOCHS, "loss": "dpo" if paired else "kto"}
