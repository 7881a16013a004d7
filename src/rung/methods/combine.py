"""Two filled slots: tuning on rows that already show the nearest examples, or the retrieved passages."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.estimate import training_cost
from rung.methods.fine_tune import SFT_SETTINGS, settings_from, training_blockers, tune
from rung.methods.headroom import Headroom
from rung.methods.learning_curve import curve_headroom
from rung.methods.rag import SMALL_CHUNK
from rung.methods.slots import nearest_shots, new_candidate, passages_slot, prompt_slot, recipe_of


@dataclass(frozen=True)
class _Filled:
    """A candidate to tune, and the fit data whose hints belong to training alone."""

    fit: FitData
    candidate: Candidate


class FewShotFineTune:
    """A row shows the examples nearest to its question; itself, its group and its duplicates are never among them."""

    name = "few_shot+fine_tune"
    rank = 50
    settings = SFT_SETTINGS | {"k"}
    trained = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return training_blockers(fit, model)

    def estimate(self, fit: FitData, model: Model) -> Cost:
        hints = {key: value for key, value in fit.hints.items() if key != "k"}
        return training_cost(fit, model, epochs=settings_from(hints).epochs, longer=2.0)

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        return _curve(fit, model, budget, self._filled(fit, model), self.estimate(fit, model), best)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        filled = self._filled(fit, model)
        return tune(filled.fit, model, budget, filled.candidate)

    def _filled(self, fit: FitData, model: Model) -> _Filled:
        fit, k = _take(fit, "k", 3)
        prompt = prompt_slot(fit.task, layout="compact")
        return _Filled(fit, new_candidate(fit, model, self.name, prompt, shots=nearest_shots(fit, k)))


class RagFineTune:
    """A row shows the passages that retrieval finds for its question, right or wrong, as it will be in production."""

    name = "rag+fine_tune"
    rank = 60
    settings = SFT_SETTINGS | {"k", "chunk_words"}
    trained = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return training_blockers(fit, model) or ([] if fit.documents else ["E2404"])

    def estimate(self, fit: FitData, model: Model) -> Cost:
        hints = {key: value for key, value in fit.hints.items() if key not in {"k", "chunk_words"}}
        return training_cost(fit, model, epochs=settings_from(hints).epochs, longer=3.0)

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        return _curve(fit, model, budget, self._filled(fit, model), self.estimate(fit, model), best)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        filled = self._filled(fit, model)
        return tune(filled.fit, model, budget, filled.candidate)

    def _filled(self, fit: FitData, model: Model) -> _Filled:
        fit, k = _take(fit, "k", 2)
        fit, chunk_words = _take(fit, "chunk_words", SMALL_CHUNK)
        recipe = recipe_of(fit, k=k, chunk_words=chunk_words)
        prompt = prompt_slot(fit.task, "grounded", grounded=True)
        return _Filled(fit, new_candidate(fit, model, self.name, prompt, retriever=passages_slot(fit, recipe)))


def _curve(
    fit: FitData, model: Model, budget: Budget, filled: _Filled, rung: Cost, best: float | None
) -> Headroom | None:
    settings = settings_from({"seed": fit.seed, **filled.fit.hints})
    return curve_headroom(filled.fit, model, budget, rung, filled.candidate, settings, best)


def _take(fit: FitData, name: str, default: int) -> tuple[FitData, int]:
    """A method's own setting, and the hints without it: the rest belongs to training."""
    hints = dict(fit.hints)
    value = int(hints.pop(name, default))
    return replace(fit, hints=hints), value
