"""The task's first metric as a reward: what each drawn answer is worth, read as it will be read when it is served."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rung.core.answer import Opened, finish
from rung.core.model import Completion
from rung.core.registry import create
from rung.core.task import Example
from rung.training.dev_score import steps_of
from rung.training.rows import TrainingRow
from rung.training.work import Job


class Reward:
    """Worth of single answers; higher is better. `failed` counts answers that could not be read, which are worth nothing."""

    def __init__(self, job: Job) -> None:
        self._metric = create("metric", job.task.metric, task=job.task)
        # Reading an answer needs no model.
        unused: Any = None
        self._opened = Opened(job.candidate, unused, steps=steps_of(job.candidate))
        self.failed = 0

    def __call__(self, rows: Sequence[TrainingRow], texts: Sequence[str]) -> list[float | None]:
        """A number for each text as the answer to its row; None where the metric does not apply to it."""
        examples = [Example(row.id, {"": row.request.query}, (row.target,)) for row in rows]
        answers = [
            finish(self._opened, example, row.request, Completion(text=text.strip()))
            for example, row, text in zip(examples, rows, texts, strict=True)
        ]
        sign = 1.0 if self._metric.better == "higher" else -1.0
        found: list[float | None] = []
        for score in self._metric.score(examples, answers):
            self.failed += score.status == "failed"
            if score.status == "unscored":
                found.append(None)
            elif score.status == "failed":
                # Never better than a wrong answer: nothing, or as bad as a wrong one can be.
                found.append(0.0 if sign > 0 else -1.0)
            else:
                found.append(sign * score.value if math.isfinite(score.value) else None)
        return found
