"""Continued pre-training: the team's documents are learned as plain text, before anything is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rung.core.candidate import Candidate
from rung.core.method import Budget, Cost
from rung.core.model import Model, Request
from rung.core.task import FitData
from rung.methods.estimate import training_cost
from rung.methods.fine_tune import TRAINING, settings_from, training_blockers, tune
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.trainings import repeats
from rung.retrieval.chunk import chunk_documents
from rung.training.rows import TrainingRow

_DEFAULTS: dict[str, Any] = {"learning_rate": 3e-4, "epochs": 2.0}
"""Gentler than for answers: an instruct model should not unlearn how to answer."""
_BLOCK_WORDS = 160


class Pretrain:
    """The plain instruction, on a model that has read the documents. Mostly the first stage of `pretrain+fine_tune`."""

    name = "pretrain"
    rank = 39
    settings = TRAINING | {"block_words"}
    trained = True
    opt_in = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return training_blockers(fit, model) or ([] if fit.documents else ["E2404"])

    def estimate(self, fit: FitData, model: Model) -> Cost:
        hints = {key: value for key, value in fit.hints.items() if key != "block_words"}
        words = sum(len(document.text.split()) for document in fit.documents)
        asked = max(1, sum(len(example.asked.split()) for example in fit.train))
        settings = settings_from(hints, **_DEFAULTS)
        longer = words / asked * repeats(hints, settings)
        return training_cost(fit, model, epochs=settings.epochs, longer=longer)

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        plain = new_candidate(fit, model, self.name, prompt_slot(fit.task, layout="compact"))
        return self.train_on(fit, model, budget, plain)

    def train_on(self, fit: FitData, model: Model, budget: Budget, candidate: Candidate) -> Candidate:
        hints = dict(fit.hints)
        words = int(hints.pop("block_words", _BLOCK_WORDS))
        blocks = chunk_documents(fit.documents, chunk_words=words, overlap=0)
        rows = [TrainingRow(block.id, Request(()), block.text) for block in blocks]
        return tune(replace(fit, hints=hints), model, budget, candidate, kind="documents", rows=rows, **_DEFAULTS)
