"""Passages of the team's documents in the prompt: chunked, found by BM25 and vectors, answered from and cited."""

from __future__ import annotations

from rung.core.candidate import Candidate, Recipe
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.estimate import answering_cost
from rung.methods.slots import new_candidate, passages_slot, prompt_slot, recipe_of
from rung.methods.tuning import Setting, best, dev_sample, try_settings

SMALL_CHUNK, LARGE_CHUNK = 70, 140


class Rag:
    """Chunk size and number of passages, chosen on dev one after another."""

    name = "rag"
    rank = 30

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        if not model.capabilities.language_model:
            return ["E2403"]
        return [] if fit.documents else ["E2404"]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        return answering_cost(fit, model, questions=len(dev_sample(fit)) * 4, longer=3.0)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        sizes = [_setting(fit, model, chunk_words=words) for words in (SMALL_CHUNK, LARGE_CHUNK)]
        tried = list(try_settings(fit, model, budget, sizes))
        chunk_words = _recipe(best(tried).candidate).chunk_words
        more = [_setting(fit, model, chunk_words=chunk_words, k=k) for k in (1, 3)]
        tried += try_settings(fit, model, budget, more)
        return best(tried).candidate


def _recipe(candidate: Candidate) -> Recipe:
    return candidate.retriever.recipe if candidate.retriever else Recipe()


def _setting(fit: FitData, model: Model, *, chunk_words: int = SMALL_CHUNK, k: int = 2) -> Setting:
    recipe = recipe_of(fit, k=k, chunk_words=chunk_words)
    prompt = prompt_slot(fit.task, "grounded", grounded=True)
    candidate = new_candidate(fit, model, "rag", prompt, retriever=passages_slot(fit, recipe))
    return Setting({"chunk_words": chunk_words, "k": k}, candidate)
