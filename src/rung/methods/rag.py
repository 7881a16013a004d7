"""Passages of the team's documents in the prompt: cut, found, ranked and shown as dev questions say, answered from and cited."""

from __future__ import annotations

from itertools import product
from typing import Any

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.headroom import Headroom, passage_headroom
from rung.methods.rag_settings import TRIED, RagSettings
from rung.methods.refine import Refinement, refine
from rung.methods.search import SEARCH_SETTINGS, search, search_cost, search_of
from rung.methods.slots import new_candidate, passages_slot, prompt_slot, recipe_of
from rung.methods.tuning import Setting
from rung.methods.ways import Marked, Way, compare_ways, finalists, record, ways_of

TINY_CHUNK, SMALL_CHUNK, LARGE_CHUNK = 40, 70, 140
_REFINED = 2
"""Settings tried on top of the best one that are answered with."""
_PROMPT = ("phrasing", "layout")


class Rag:
    """Passage size, search words, fusion and number of passages, chosen on dev; then ranking, order, trimming, abstention.

    What marked passages can tell is decided by them, before the model is asked; what is left is decided by the metric.
    """

    name = "rag"
    rank = 30
    settings = SEARCH_SETTINGS | TRIED

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        if not model.capabilities.language_model:
            return ["E2403"]
        return [] if fit.documents else ["E2404"]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        how = search_of(fit.hints, self.name)
        return search_cost(fit, model, how, len(rag_grid(fit, wide=how.wide)) + _REFINED, longer=3.0)

    def probe(self, fit: FitData, model: Model, budget: Budget, best: float | None) -> Headroom | None:
        """Whether the right passage in the prompt makes a difference to this model."""
        return passage_headroom(fit, model, budget, self.estimate(fit, model))

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        how = search_of(fit.hints, self.name)
        asked = settings_of(fit, wide=how.wide)
        marked = Marked.of(fit)
        ways = chosen_ways(fit, model, budget, asked, marked)
        settings = [rag_setting(fit, model, point) for point in points(ways, asked, usual_way(fit), wide=how.wide)]
        winner = search(fit, model, budget, settings, how)

        def vary(setting: Setting, **changes: Any) -> Setting:
            return rag_setting(fit, model, {**setting.name, **changes})

        return refine(Refinement(fit, model, budget, asked, marked, vary), winner).candidate


def usual_way(fit: FitData) -> Way:
    """How documents are searched where nothing is tuned."""
    recipe = recipe_of(fit, k=1, chunk_words=SMALL_CHUNK)
    return Way(recipe.chunk_words, recipe.query, recipe.fusion, recipe.weights)


def settings_of(fit: FitData, *, wide: bool = False) -> RagSettings:
    return RagSettings.of(fit, _sizes(fit, wide), (1, 2, 3), usual_way(fit).fusion)


def _sizes(fit: FitData, wide: bool) -> tuple[int, ...]:
    """Sizes of passages to try; a knowledge base has one."""
    if fit.base:
        return (fit.base.chunk_words,)
    return (TINY_CHUNK, SMALL_CHUNK, LARGE_CHUNK) if wide else (SMALL_CHUNK, LARGE_CHUNK)


def chosen_ways(fit: FitData, model: Model, budget: Budget, asked: RagSettings, marked: Marked) -> list[Way]:
    """The ways that the metric decides about: those that find most marked passages, or where too few are marked those that
    the task file names."""
    usual = usual_way(fit)
    if not marked.enough:
        named = (asked.queries.named, asked.fusions.named, asked.weights.named)
        return ways_of(usual, asked.sizes.values, *named)
    ways = ways_of(usual, asked.sizes.values, asked.queries.values, asked.fusions.values, asked.weights.values)
    budget.progress.update(0, len(ways), "comparing ways to search")
    found = compare_ways(marked, ways, model)
    chosen = finalists(found, usual, asked.k.values)
    budget.journal.note("retrieval", record(found, chosen, asked.k.values))
    return chosen


def points(ways: list[Way], asked: RagSettings, usual: Way, *, wide: bool = False) -> list[dict[str, Any]]:
    """Settings to try, those that show fewer words first."""
    shown = sorted(product(ways, asked.k.values), key=lambda pair: pair[0].chunk_words * pair[1])
    found = [{**way.point(usual), "k": k, **asked.fixed} for way, k in shown]
    return _prompted(found) if wide else found


def rag_grid(fit: FitData, *, wide: bool = False) -> list[dict[str, Any]]:
    """Sizes and numbers of passages alone, those that show fewer words first."""
    shown = sorted(product(_sizes(fit, wide), (1, 2, 3)), key=lambda size: size[0] * size[1])
    found: list[dict[str, Any]] = [{"chunk_words": words, "k": k} for words, k in shown]
    return _prompted(found) if wide else found


def _prompted(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    prompts = list(product(("grounded", "plain"), ("chat", "compact")))
    return [{**point, "phrasing": said, "layout": layout} for point in found for said, layout in prompts]


def rag_setting(fit: FitData, model: Model, point: dict[str, Any]) -> Setting:
    """The candidate of a point: fields of a recipe, and how the passages are spoken about."""
    fields = {name: value for name, value in point.items() if name not in _PROMPT}
    recipe = recipe_of(fit, **{"fit_context": True, **fields})
    prompt = prompt_slot(fit.task, point.get("phrasing", "grounded"), layout=point.get("layout", "chat"), grounded=True)
    return Setting(point, new_candidate(fit, model, "rag", prompt, retriever=passages_slot(fit, recipe)))
