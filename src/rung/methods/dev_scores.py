"""Scores of settings, question by question: each block is on disk before the next is asked, and none is asked twice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rung.core.answer import Opened, answer_many
from rung.core.append_log import AppendLog, read_log
from rung.core.evaluation import Metric, Score
from rung.core.method import Budget, Trial
from rung.core.model import Model
from rung.core.task import Example, FitData
from rung.methods.race import Spent
from rung.methods.tuning import Setting, metric_of, open_for
from rung.stats.failing import worth
from rung.stats.intervals import Floats

FILE = "scores.jsonl"
"""In the method's own folder: {candidate, example, status, value, parts, seconds}, a line for every question asked."""


class DevScores:
    """What settings score on questions. Equal candidates are one candidate, whatever setting they come from."""

    def __init__(self, fit: FitData, model: Model | None, budget: Budget) -> None:
        self._fit, self._model, self._budget = fit, model, budget
        self.metric: Metric = metric_of(fit)
        self._path = fit.folder / FILE
        self._kept: dict[tuple[str, str], dict[str, Any]] = {
            (line["candidate"], line["example"]): line for line in read_log(self._path)
        }
        self._begun = False

    def ask(self, setting: Setting, examples: Sequence[Example], *, opened: Opened | None = None) -> Floats:
        """float [n]: higher is better; a failed answer counts as nothing right. Raises Spent when time is up.

        `opened`: the setting's candidate where opening it takes more than its slots say.
        The first call is answered even then, so that every method has something to go by.
        """
        name = setting.candidate.id
        missing = [example for example in examples if (name, example.id) not in self._kept]
        if missing:
            if self._begun and self._budget.left <= 0:
                raise Spent
            self._answer(opened or open_for(self._fit, setting.candidate, self._model), missing)
        self._begun = True
        kept = [self._kept[name, example.id] for example in examples]
        if self.metric.better == "higher":
            return np.array([float(line["value"]) for line in kept])
        return -np.array([1.0 if line["status"] == "failed" else float(line["value"]) for line in kept])

    def _answer(self, opened: Opened, examples: Sequence[Example]) -> None:
        started = time.perf_counter()
        answers = answer_many(opened, examples)
        seconds = (time.perf_counter() - started) / len(examples)
        lines: list[dict[str, Any]] = [
            {
                "candidate": opened.candidate.id,
                "example": example.id,
                "status": score.status,
                "value": score.value,
                "parts": dict(score.parts),
                "seconds": round(seconds, 4),
            }
            for example, score in zip(examples, self.metric.score(examples, answers), strict=True)
        ]
        with AppendLog(self._path) as log:
            log.add(lines)
        self._kept |= {(line["candidate"], line["example"]): line for line in lines}

    def score(self, setting: Setting, examples: Sequence[Example]) -> float:
        """The metric over questions already asked; higher is better."""
        return worth(self.metric, examples, self._scores(setting, examples), self._fit.task.output.labels)

    def trial(self, setting: Setting, examples: Sequence[Example]) -> Trial:
        """The record of a setting over questions already asked."""
        lines = [self._kept[setting.candidate.id, example.id] for example in examples]
        return Trial(
            setting.name,
            self.score(setting, examples),
            len(lines),
            sum(line["seconds"] for line in lines),
            sum(line["status"] == "failed" for line in lines),
        )

    def _scores(self, setting: Setting, examples: Sequence[Example]) -> list[Score]:
        lines = [self._kept[setting.candidate.id, example.id] for example in examples]
        return [Score(line["status"], line["value"], line["parts"]) for line in lines]
