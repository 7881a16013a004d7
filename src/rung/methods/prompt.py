"""Zero-shot: a handful of instruction phrasings, and for labels the correction of the model's own leanings."""

from __future__ import annotations

from itertools import product
from typing import Any

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.calibrate import calibrate
from rung.methods.instructions import phrasings
from rung.methods.search import SEARCH_SETTINGS, search, search_cost, search_of
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.tuning import Setting

_LABEL = ("plain", "only_label")
_WRITTEN = ("plain", "short", "expert")
_WIDE = 12
"""Phrasings of the wide grid, each in both layouts."""


class Prompt:
    """The instruction alone, in the phrasing that does best on dev."""

    name = "prompt"
    rank = 10
    settings = SEARCH_SETTINGS

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return [] if model.capabilities.language_model else ["E2403"]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        how = search_of(fit.hints, self.name)
        return search_cost(fit, model, how, len(prompt_grid(fit, wide=how.wide)))

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        how = search_of(fit.hints, self.name)
        settings = [prompt_setting(fit, model, point) for point in prompt_grid(fit, wide=how.wide)]
        return calibrate(fit, model, budget, search(fit, model, budget, settings, how).candidate)


def prompt_grid(fit: FitData, *, wide: bool = False) -> list[dict[str, Any]]:
    """Settings to try, short prompts first."""
    label = fit.task.output.kind == "label"
    if wide:
        names = phrasings(fit.task.output.kind)[:_WIDE]
        layouts = ("chat", "compact")
        if not label:
            return [{"phrasing": name, "layout": layout} for name, layout in product(names, layouts)]
        points = product((False, True), names, layouts)
        return [{"phrasing": name, "labels_listed": listed, "layout": layout} for listed, name, layout in points]
    usual: list[dict[str, Any]] = [{"phrasing": name} for name in _WRITTEN]
    if label:
        usual = [{"phrasing": name, "labels_listed": listed} for name, listed in product(_LABEL, (False, True))]
    return [*usual, {"phrasing": "plain", "layout": "compact"}]


def prompt_setting(fit: FitData, model: Model, point: dict[str, Any]) -> Setting:
    prompt = prompt_slot(
        fit.task,
        point["phrasing"],
        layout=point.get("layout", "chat"),
        list_choices=point.get("labels_listed", False),
    )
    return Setting(point, new_candidate(fit, model, "prompt", prompt))
