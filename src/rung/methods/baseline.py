"""The rung below the ladder: no language model. Whoever cannot beat it needs none."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from rung.core.candidate import Candidate, OutputSlot, Recipe
from rung.core.method import Budget, Cost
from rung.core.model import Model, ModelRef
from rung.core.registry import find
from rung.core.task import FitData
from rung.methods.slots import encoder_named, nearest_shots, passages_slot, prompt_slot, recipe_of, with_steps
from rung.methods.tuning import Setting, best, try_settings
from rung.models.linear import fit_linear

Head = Literal["majority", "tfidf", "embedding"]
DEV_LIMIT = 2000
"""A linear head answers thousands of questions in a second, so all of dev decides."""


class Baseline:
    """Labels: majority class, TF-IDF and sentence embedding with a linear head. Text: the nearest training question's answer,
    and the best sentence of the best passage. The best on dev."""

    name = "baseline"
    rank = 0
    uses_model = False

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        if fit.task.output.kind == "json":
            return ["E2401"]
        return [] if fit.train or fit.documents else ["E2402"]

    def estimate(self, fit: FitData, model: Model) -> Cost:
        seconds = 3.0 + 0.02 * (len(fit.train) + len(fit.dev))
        return Cost(seconds=seconds, cpu_seconds=seconds, memory_gib=1.0)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        settings = _label_settings(fit, budget) if fit.task.output.kind == "label" else _text_settings(fit)
        return best(list(try_settings(fit, None, budget, settings, limit=DEV_LIMIT))).candidate


def _candidate(fit: FitData, ref: ModelRef, output: OutputSlot, **slots: object) -> Candidate:
    prompt = prompt_slot(fit.task, layout="bare")
    return Candidate.model_validate(
        {"method": "baseline", "made_from": fit.made_from, "model": ref, "prompt": prompt, "output": output, **slots}
    )


def _label_settings(fit: FitData, budget: Budget) -> list[Setting]:
    texts = [example.asked for example in fit.train]
    labels = [example.references[0] for example in fit.train]
    output = with_steps(OutputSlot(choices=fit.task.output.labels, constrain=True), fit.task)
    settings = []
    kinds: tuple[Head, ...] = ("majority",) if len(Counter(labels)) < 2 else ("majority", "tfidf", "embedding")
    for number, kind in enumerate(kinds):
        budget.progress.update(number, len(kinds), f"fitting {kind}")
        ref = fit_linear(
            kind,
            texts,
            labels,
            folder=fit.folder,
            encoder_name=fit.encoder,
            encoder=encoder_named(fit.encoder) if kind == "embedding" else None,
            seed=fit.seed,
        )
        settings.append(Setting({"head": kind}, _candidate(fit, ref, output)))
    return settings


def _text_settings(fit: FitData) -> list[Setting]:
    output = with_steps(OutputSlot(abstain=fit.task.output.abstain), fit.task)
    extractive = find("model", "extractive")
    settings = []
    if fit.train:
        ref = extractive(mode="nearest_answer").ref
        settings.append(
            Setting({"answer": "nearest question"}, _candidate(fit, ref, output, shots=nearest_shots(fit, 1)))
        )
    if fit.documents:
        ref = extractive(mode="best_sentence", encoder=fit.encoder if fit.task.language == "en" else "").ref
        retriever = passages_slot(fit, recipe_of(fit, k=1, chunk_words=Recipe().chunk_words))
        settings.append(Setting({"answer": "best sentence"}, _candidate(fit, ref, output, retriever=retriever)))
    return settings
