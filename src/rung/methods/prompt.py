"""Zero-shot: a handful of instruction phrasings, and for labels the correction of the model's own leanings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import choice_logits, prepare
from rung.core.candidate import Candidate, OutputSlot
from rung.core.evaluation import Answer
from rung.core.method import Budget, Cost, Trial
from rung.core.model import Model
from rung.core.task import Example, FitData
from rung.methods.estimate import answering_cost
from rung.methods.slots import new_candidate, prompt_slot, seeded_sample
from rung.methods.tuning import Setting, best, dev_sample, metric_of, open_for, score_of, try_settings

_LEANING_QUESTIONS = 48
"""Training questions over which a label's mean score is taken as the model's leaning."""


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
        chosen = best(tried).candidate
        if chosen.output.constrain:
            chosen = calibrate(fit, model, budget, chosen)
        return chosen


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
    return [*settings, Setting({"phrasing": "plain", "layout": "compact"}, new_candidate(fit, model, "prompt", compact))]


def calibrate(fit: FitData, model: Model, budget: Budget, candidate: Candidate) -> Candidate:
    """Choose length normalisation and prior correction from scores that are computed once.

    The prior of a label is its mean score over training questions, which are not the ones being judged (after contextual
    calibration: Zhao et al. 2021, arXiv 2102.09690; averaged over real questions: Zhou et al. 2024, arXiv 2309.17249).
    """
    dev, metric = dev_sample(fit), metric_of(fit)
    pool = seeded_sample(fit.train, _LEANING_QUESTIONS, fit.seed, "leaning")
    opened = open_for(fit, candidate, model)
    budget.progress.update(0, 2, "measuring the model's leanings")
    leaning = model.generate(prepare(opened, pool))
    budget.progress.update(1, 2, "calibrating")
    rows = model.generate(prepare(opened, dev))
    if any(completion.failure for completion in [*leaning, *rows]):
        return candidate
    scores = np.array([completion.choice_scores for completion in rows])
    raw = np.array([completion.choice_scores for completion in leaning])
    options: list[tuple[float, OutputSlot]] = []
    for normalise in ("sum", "mean"):
        plain = candidate.output.model_copy(update={"normalise": normalise})
        priors = tuple(float(x) for x in choice_logits(raw, plain).mean(axis=0))
        for weight in (0.0, 0.5, 1.0):
            output = plain.model_copy(update={"priors": priors if weight else (), "prior_weight": weight})
            score = score_of(metric, dev, _answers(dev, choice_logits(scores, output), output))
            options.append((score, output))
            setting = {"normalise": normalise, "prior_weight": weight}
            if budget.journal.find(setting) is None:
                budget.journal.add(Trial(setting, score, len(dev)))
    budget.progress.update(2, 2)
    return candidate.model_copy(update={"output": max(options, key=lambda option: option[0])[1]})


def _answers(examples: Sequence[Example], logits: NDArray[np.float64], output: OutputSlot) -> list[Answer]:
    return [
        Answer(example.id, output.choices[int(place)])
        for example, place in zip(examples, logits.argmax(axis=1), strict=True)
    ]
