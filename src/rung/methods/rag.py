"""Passages of the team's documents in the prompt: chunked, found by BM25 and vectors, answered from and cited."""

from __future__ import annotations

from itertools import product
from typing import Any

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.headroom import Headroom, passage_headroom
from rung.methods.search import SEARCH_SETTINGS, search, search_cost, search_of
from rung.methods.slots import new_candidate, passages_slot, prompt_slot, recipe_of
from rung.methods.tuning import Setting

TINY_CHUNK, SMALL_CHUNK, LARGE_CHUNK = 40, 70, 140


class Rag:
    """Chunk size and number of passages, chosen on dev."""

    name = "rag"
    rank = 30
    settings = SEARCH_SETTINGS

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        if not model.capabilities.language_model:
            return ["E2403"]
        return [] if fit.documents else ["E2404"]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        how = search_of(fit.hints, self.name)
        return search_cost(fit, model, how, len(rag_grid(wide=how.wide)), longer=3.0)

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        """Whether the right passage in the prompt makes a difference to this model."""
        return passage_headroom(fit, model, budget, self.estimate(fit, model))

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        how = search_of(fit.hints, self.name)
        settings = [rag_setting(fit, model, point) for point in rag_grid(wide=how.wide)]
        return search(fit, model, budget, settings, how).candidate


def rag_grid(*, wide: bool = False) -> list[dict[str, Any]]:
    """Settings to try, those that show fewer words first."""
    if wide:
        sizes = product((TINY_CHUNK, SMALL_CHUNK, LARGE_CHUNK), (1, 2, 3))
        shown = sorted(sizes, key=lambda size: size[0] * size[1])
        points = product(shown, ("grounded", "plain"), ("chat", "compact"))
        return [
            {"chunk_words": words, "k": k, "phrasing": said, "layout": layout} for (words, k), said, layout in points
        ]
    shown = sorted(product((SMALL_CHUNK, LARGE_CHUNK), (1, 2, 3)), key=lambda size: size[0] * size[1])
    return [{"chunk_words": words, "k": k} for words, k in shown]


def rag_setting(fit: FitData, model: Model, point: dict[str, Any]) -> Setting:
    recipe = recipe_of(fit, k=point["k"], chunk_words=point["chunk_words"])
    said, layout = point.get("phrasing", "grounded"), point.get("layout", "chat")
    prompt = prompt_slot(fit.task, said, layout=layout, grounded=True)
    return Setting(point, new_candidate(fit, model, "rag", prompt, retriever=passages_slot(fit, recipe)))
