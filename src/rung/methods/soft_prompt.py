"""Soft prompts: virtual tokens before every prompt are learned, by prompt tuning, P-tuning or prefix tuning; no weight changes."""

from __future__ import annotations

from rung.core.candidate import Candidate
from rung.core.errors import UsageError
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.estimate import training_cost
from rung.methods.fine_tune import TRAINING, settings_from, training_blockers, tune
from rung.methods.headroom import Headroom
from rung.methods.learning_curve import curve_headroom
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.trainings import repeats
from rung.training.settings import TrainSettings

KINDS = ("prompt", "p_tuning", "prefix")
_USUAL = "prompt"


class SoftPrompt:
    """The plain instruction behind virtual tokens that are learned from train; nothing but these is stored."""

    name = "soft_prompt"
    rank = 38
    settings = TRAINING
    trained = True
    opt_in = True
    """Fine-tuning takes as long and can learn more: this rung runs only where task.yaml names it."""

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        blockers = training_blockers(fit, model)
        # Virtual tokens stay beside the weights, and some engines answer from merged weights only.
        return blockers or ([] if model.capabilities.adapters else ["E3074"])

    def estimate(self, fit: FitData, model: Model) -> Cost:
        settings = _settings(fit)
        return training_cost(fit, model, epochs=settings.epochs, longer=repeats(fit.hints, settings), settings=settings)

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        """Whether a long training can be expected to reach the best rung so far."""
        return curve_headroom(
            fit, model, budget, self.estimate(fit, model), self._plain(fit, model), _settings(fit), best
        )

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        return self.train_on(fit, model, budget, self._plain(fit, model))

    def train_on(self, fit: FitData, model: Model, budget: Budget, candidate: Candidate) -> Candidate:
        """The candidate behind a soft prompt; one that has trained weights already is refused (E2463)."""
        _settings(fit)
        return tune(fit, model, budget, candidate, adapter=_USUAL)

    def _plain(self, fit: FitData, model: Model) -> Candidate:
        return new_candidate(fit, model, self.name, prompt_slot(fit.task, layout="compact"))


def _settings(fit: FitData) -> TrainSettings:
    """Raises UsageError E2460 for an adapter that changes weights."""
    settings = settings_from({"seed": fit.seed, **fit.hints}, adapter=_USUAL)
    if not settings.soft:
        raise UsageError("E2460", name="adapter", value=settings.adapter, known=", ".join(KINDS))
    return settings
