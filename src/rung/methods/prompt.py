"""Zero-shot: a handful of instruction phrasings, and for labels the correction of the model's own leanings."""

from __future__ import annotations

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.calibrate import calibrate
from rung.methods.estimate import answering_cost
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.tuning import Setting, best, dev_sample, try_settings


class Prompt:
    """The instruction alone, in the phrasing that does best on dev."""

    name = "prompt"
    rank = 10

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return [] if model.capabilities.language_model else ["E2403"]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        return answering_cost(fit, model, questions=len(dev_sample(fit)) * len(_settings(fit, model)))

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        tried = list(try_settings(fit, model, budget, _settings(fit, model)))
        return calibrate(fit, model, budget, best(tried).candidate)


def _settings(fit: FitData, model: Model) -> list[Setting]:
    label = fit.task.output.kind == "label"
    names = ["plain", "only_label"] if label else ["plain", "short", "expert"]
    settings = []
    for name in names:
        for listed in [False, True] if label else [False]:
            prompt = prompt_slot(fit.task, name, list_choices=listed)
            setting = {"phrasing": name} | ({"labels_listed": listed} if label else {})
            settings.append(Setting(setting, new_candidate(fit, model, "prompt", prompt)))
    compact = prompt_slot(fit.task, "plain", layout="compact")
    return [
        *settings,
        Setting({"phrasing": "plain", "layout": "compact"}, new_candidate(fit, model, "prompt", compact)),
    ]
