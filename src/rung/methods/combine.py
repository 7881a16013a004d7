"""Two filled slots: tuning on rows that already show the nearest examples, or passages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.estimate import training_cost
from rung.methods.fine_tune import TRAINING, settings_from, training_blockers, tune
from rung.methods.grounded_rows import AWARE, grounded_rows
from rung.methods.headroom import Headroom
from rung.methods.learning_curve import curve_headroom
from rung.methods.rag import SMALL_CHUNK
from rung.methods.rag_settings import PASSAGES, fixed
from rung.methods.slots import nearest_shots, new_candidate, passages_slot, prompt_slot, recipe_of
from rung.methods.trainings import repeats
from rung.methods.tuning import open_for


@dataclass(frozen=True)
class Filled:
    """A candidate to tune, and the fit data whose hints belong to training alone."""

    fit: FitData
    candidate: Candidate


class FewShotFineTune:
    """A row shows the examples nearest to its question; itself, its group and its duplicates are never among them."""

    name = "few_shot+fine_tune"
    rank = 50
    settings = TRAINING | {"k"}
    trained = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return training_blockers(fit, model)

    def estimate(self, fit: FitData, model: Model) -> Cost:
        settings = settings_from(_without(fit, "k").hints)
        return training_cost(
            fit, model, epochs=settings.epochs, longer=2.0 * repeats(fit.hints, settings), rows_longer=2.0
        )

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        return _curve(model, budget, with_examples(fit, model, self.name), self.estimate(fit, model), best)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        filled = with_examples(fit, model, self.name)
        return tune(filled.fit, model, budget, filled.candidate)


class RagFineTune:
    """A row shows the passages that retrieval finds for its question, right or wrong, as it will be in production.

    With `aware`, the passage that holds the answer is always among them, and a share of the rows are taught to abstain without it.
    """

    name = "rag+fine_tune"
    rank = 60
    settings = TRAINING | PASSAGES | AWARE
    trained = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return training_blockers(fit, model) or ([] if fit.documents else ["E2404"])

    def estimate(self, fit: FitData, model: Model) -> Cost:
        hints = _without(fit, *PASSAGES, *AWARE).hints
        settings = settings_from(hints)
        return training_cost(fit, model, epochs=settings.epochs, longer=3.0 * repeats(hints, settings), rows_longer=3.0)

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        filled = with_passages(_without(fit, *AWARE), model, self.name)
        return _curve(model, budget, filled, self.estimate(fit, model), best)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        filled = with_passages(_without(fit, *AWARE), model, self.name)
        if not fit.hints.get("aware"):
            return tune(filled.fit, model, budget, filled.candidate)
        opened = open_for(fit, filled.candidate, model)
        rows = grounded_rows(fit, opened, float(fit.hints.get("abstain_share", 0.15)))
        budget.journal.note("grounded", rows.counts)
        return tune(filled.fit, model, budget, filled.candidate, rows=rows.rows)


def with_examples(fit: FitData, model: Model, name: str) -> Filled:
    """A candidate of that name whose prompt shows the k nearest examples."""
    k = int(fit.hints.get("k", 3))
    prompt = prompt_slot(fit.task, layout="compact")
    return Filled(_without(fit, "k"), new_candidate(fit, model, name, prompt, shots=nearest_shots(fit, k)))


def with_passages(fit: FitData, model: Model, name: str) -> Filled:
    """A candidate of that name whose prompt shows the k passages found, as the task file says.

    Raises UsageError E2410 or E2731 for a setting that a training cannot take over.
    """
    recipe = recipe_of(fit, **{"k": 2, "chunk_words": SMALL_CHUNK, "fit_context": True, **fixed(name, fit.hints)})
    prompt = prompt_slot(fit.task, "grounded", grounded=True)
    candidate = new_candidate(fit, model, name, prompt, retriever=passages_slot(fit, recipe))
    return Filled(_without(fit, *PASSAGES), candidate)


def _curve(model: Model, budget: Budget, filled: Filled, rung: Cost, best: float | None) -> Headroom | None:
    fit = filled.fit
    settings = settings_from({"seed": fit.seed, **fit.hints})
    return curve_headroom(fit, model, budget, rung, filled.candidate, settings, best)


def _without(fit: FitData, *names: str) -> FitData:
    """Fit data without a method's own settings: the rest belongs to training."""
    hints: dict[str, Any] = {key: value for key, value in fit.hints.items() if key not in names}
    return replace(fit, hints=hints)
