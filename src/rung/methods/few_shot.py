"""Solved examples in the prompt: the same ones for every question, or the nearest to each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from rung.core.candidate import Candidate, ShotExample, ShotsSlot
from rung.core.hashing import seed_from
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import Example, FitData
from rung.methods.calibrate import calibrate
from rung.methods.search import SEARCH_SETTINGS, search, search_cost, search_of
from rung.methods.slots import nearest_shots, new_candidate, prompt_slot
from rung.methods.tuning import Setting

NEAREST = (3, 6)
FIXED = 4
_WIDE = (("nearest", 1), ("nearest", 3), ("nearest", 6), ("nearest", 10), ("fixed", 2), ("fixed", 4), ("fixed", 8))


class FewShot:
    """Layout, source and number of the examples, chosen on dev."""

    name = "few_shot"
    rank = 20
    settings = SEARCH_SETTINGS

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        if not model.capabilities.language_model:
            return ["E2403"]
        return [] if len(fit.train) > FIXED else ["E2402"]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        how = search_of(fit.hints, self.name)
        return search_cost(fit, model, how, len(few_shot_grid(fit, wide=how.wide)), longer=2.0)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        how = search_of(fit.hints, self.name)
        settings = few_shot_settings(fit, model, few_shot_grid(fit, wide=how.wide))
        return calibrate(fit, model, budget, search(fit, model, budget, settings, how).candidate)


def few_shot_grid(fit: FitData, *, wide: bool = False) -> list[dict[str, Any]]:
    """Settings to try, those with fewer examples first."""
    label = fit.task.output.kind == "label"
    if wide:
        phrasings = ("plain", "only_label" if label else "short")
        points = product(sorted(_WIDE, key=lambda source: source[1]), ("compact", "chat"), phrasings)
        return [{"shots": m, "k": k, "layout": layout, "phrasing": said} for (m, k), layout, said in points]
    # Written answers follow the style of turns; labels are short enough for lines, which cost fewer tokens.
    layouts = ("compact", "chat") if label else ("chat",)
    sources = [("nearest", NEAREST[0]), ("fixed", FIXED), *(("nearest", k) for k in NEAREST[1:])]
    return [{"shots": mode, "k": k, "layout": layout} for (mode, k), layout in product(sources, layouts)]


def few_shot_settings(fit: FitData, model: Model, points: Sequence[dict[str, Any]]) -> list[Setting]:
    nearest = nearest_shots(fit, 1)
    settings = []
    for point in points:
        k = point["k"]
        shots = nearest.model_copy(update={"k": k}) if point["shots"] == "nearest" else fixed_shots(fit, k)
        prompt = prompt_slot(fit.task, point.get("phrasing", "plain"), layout=point["layout"])
        settings.append(Setting(point, new_candidate(fit, model, "few_shot", prompt, shots=shots)))
    return settings


def fixed_shots(fit: FitData, k: int, *, pool: Sequence[Example] | None = None, draw: str = "fixed shots") -> ShotsSlot:
    """k solved examples of `pool` (all of train without it), with as many different answers as there can be; `draw` names the
    draw."""
    pool = [example for example in (fit.train if pool is None else pool) if example.references]
    rng = np.random.default_rng(seed_from(fit.seed, draw))
    order = [pool[i] for i in rng.permutation(len(pool))]
    chosen: list[ShotExample] = []
    for fresh_only in (True, False):
        for example in order:
            answer = example.references[0]
            taken = {shot.id for shot in chosen}
            repeated = fresh_only and answer in {shot.answer for shot in chosen}
            if len(chosen) < k and example.id not in taken and not repeated:
                chosen.append(ShotExample(id=example.id, inputs=dict(example.inputs), answer=answer))
    return ShotsSlot(mode="fixed", k=k, fixed=tuple(chosen))
