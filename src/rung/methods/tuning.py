"""What choosing on dev stands on: settings, the seeded dev questions, opening a candidate and scoring it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rung.core.answer import Opened, answer_stream, open_candidate
from rung.core.candidate import Candidate, Recipe
from rung.core.evaluation import Answer, Metric
from rung.core.method import Budget, Trial
from rung.core.model import Model
from rung.core.registry import create
from rung.core.task import Example, FitData
from rung.methods.rag_settings import asks_model
from rung.methods.slots import encoder_named, seeded_sample
from rung.models.cache import CachedModel
from rung.stats.failing import worth

DEV_LIMIT = 100
"""Dev questions a setting is tried on. Enough to tell settings that differ by ten points; finer differences do not decide here."""
DEV_LIMIT_WRITTEN = 40
"""The same where every answer is written out token by token, which takes ten times as long as choosing a label."""

PREPARED = "prepared.sqlite"
"""In the run folder: questions that a local model has rewritten and passages that it has judged while settings were tried."""


@dataclass(frozen=True)
class Setting:
    """A named way to fill the slots."""

    name: dict[str, Any]
    candidate: Candidate


def open_for(fit: FitData, candidate: Candidate, model: Model | None) -> Opened:
    """A candidate opened on an already loaded model, sharing this process's encoder."""
    needed = candidate.retriever or (candidate.shots and candidate.shots.mode == "nearest")
    encoder = encoder_named(fit.encoder) if needed else None
    opened = open_candidate(candidate, fit.folder, fit.run / "indexes", model=model, encoder=encoder)
    if candidate.retriever is None:
        return opened
    return replace(opened, helper=remembering(fit, candidate.retriever.recipe, opened.model))


def remembering(fit: FitData, recipe: Recipe, model: Model) -> Model | None:
    """The model for what a recipe asks it before a question, so that nothing is rewritten or judged twice in a run.

    None where the recipe asks nothing, and for an endpoint, whose answers are kept already. Only tuning remembers: what is
    evaluated takes its time.
    """
    if model.ref.options.get("base_url") or not asks_model(recipe.query, recipe.rerank):
        return None
    return CachedModel(model, fit.run / PREPARED)


def metric_of(fit: FitData) -> Metric:
    found: Metric = create("metric", fit.task.metric, task=fit.task)
    return found


def score_of(fit: FitData, metric: Metric, examples: Sequence[Example], answers: Sequence[Answer]) -> float:
    """The metric over all examples, higher is better; a setting never gains by failing (`stats.failing.worth`)."""
    return worth(metric, examples, metric.score(examples, answers), fit.task.output.labels)


def dev_sample(fit: FitData, limit: int | None = None) -> tuple[Example, ...]:
    usual = DEV_LIMIT if fit.task.output.kind == "label" else DEV_LIMIT_WRITTEN
    return seeded_sample(fit.dev, limit or usual, fit.seed, "dev")


def try_settings(
    fit: FitData, model: Model | None, budget: Budget, settings: Sequence[Setting], *, limit: int | None = None
) -> Iterator[tuple[Setting, Trial]]:
    """Try each setting on dev, in order; one that an interrupted run has tried is not tried again.

    Stops early when the budget is spent, but never before the first setting is done.
    """
    examples, metric = dev_sample(fit, limit), metric_of(fit)
    for number, setting in enumerate(settings):
        trial = budget.journal.find(setting.name)
        if trial is None:
            if number and budget.left <= 0:
                budget.journal.note("converged", False)
                return
            trial = _try(fit, model, budget, setting, examples, metric)
            budget.journal.add(trial)
        yield setting, trial


def _try(
    fit: FitData, model: Model | None, budget: Budget, setting: Setting, examples: Sequence[Example], metric: Metric
) -> Trial:
    started = time.perf_counter()
    opened = open_for(fit, setting.candidate, model)
    answers: list[Answer] = []
    label = ", ".join(f"{key} {value}" for key, value in setting.name.items())
    for part in answer_stream(opened, examples, chunk=32):
        answers += [answer for _, _, answer in part]
        budget.progress.update(len(answers), len(examples), f"trying {label}")
    failed = sum(answer.failure is not None for answer in answers)
    return Trial(
        setting.name, score_of(fit, metric, examples, answers), len(examples), time.perf_counter() - started, failed
    )


def best(tried: Sequence[tuple[Setting, Trial]]) -> Setting:
    """The setting with the best dev score; of equals, the one tried first, since cheaper settings are tried first."""
    return max(tried, key=lambda pair: pair[1].score)[0]
