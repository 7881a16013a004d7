"""Solved examples in the prompt: the same ones for every question, or the nearest to each."""

from __future__ import annotations

import numpy as np

from rung.core.candidate import Candidate, ShotExample, ShotsSlot
from rung.core.hashing import seed_from
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.calibrate import calibrate
from rung.methods.estimate import answering_cost
from rung.methods.slots import Layout, nearest_shots, new_candidate, prompt_slot
from rung.methods.tuning import Setting, best, dev_sample, try_settings

NEAREST = (3, 6)
FIXED = 4


class FewShot:
    """Layout, source and number of the examples, chosen on dev one after another."""

    name = "few_shot"
    rank = 20

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        if not model.capabilities.language_model:
            return ["E2403"]
        return [] if len(fit.train) > FIXED else ["E2402"]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        return answering_cost(fit, model, questions=len(dev_sample(fit)) * 5, longer=2.0)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        # Written answers follow the style of turns; labels are short enough for lines, which cost fewer tokens.
        layouts: tuple[Layout, ...] = ("compact", "chat") if fit.task.output.kind == "label" else ("chat",)
        first = [_setting(fit, model, "nearest", NEAREST[0], layout) for layout in layouts]
        tried = list(try_settings(fit, model, budget, first))
        layout = best(tried).candidate.prompt.layout
        more = [_setting(fit, model, "nearest", k, layout) for k in NEAREST[1:]]
        more.append(_setting(fit, model, "fixed", FIXED, layout))
        tried += try_settings(fit, model, budget, more)
        return calibrate(fit, model, budget, best(tried).candidate)


def _setting(fit: FitData, model: Model, mode: str, k: int, layout: Layout) -> Setting:
    shots = nearest_shots(fit, k) if mode == "nearest" else fixed_shots(fit, k)
    candidate = new_candidate(fit, model, "few_shot", prompt_slot(fit.task, layout=layout), shots=shots)
    return Setting({"shots": mode, "k": k, "layout": layout}, candidate)


def fixed_shots(fit: FitData, k: int) -> ShotsSlot:
    """k examples of train, with as many different answers as there can be."""
    rng = np.random.default_rng(seed_from(fit.seed, "fixed shots"))
    order = [fit.train[i] for i in rng.permutation(len(fit.train))]
    chosen: list[ShotExample] = []
    for fresh_only in (True, False):
        for example in order:
            answer = example.references[0]
            taken = {shot.id for shot in chosen}
            repeated = fresh_only and answer in {shot.answer for shot in chosen}
            if len(chosen) < k and example.id not in taken and not repeated:
                chosen.append(ShotExample(id=example.id, inputs=dict(example.inputs), answer=answer))
    return ShotsSlot(mode="fixed", k=k, fixed=tuple(chosen))
