"""The task's own metric on dev while training: answers as they will be served, read as they will be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rung.core.answer import Opened, finish
from rung.core.candidate import Candidate
from rung.core.registry import create
from rung.core.steps import bind
from rung.core.task import Example
from rung.stats.failing import worth
from rung.training.merge import merged
from rung.training.rows import TrainingRow
from rung.training.work import Job

_MOST_ENDLESS = 0.5
"""Share of answers cut off at their limit above which a model has not learned to stop."""


class DevScorer:
    """The task's own metric on the dev rows, with the adapter merged as it will be served."""

    def __init__(self, job: Job, evaluator: Any, rows: Sequence[TrainingRow]) -> None:
        self._job, self._evaluator, self._rows = job, evaluator, rows
        self._metric = create("metric", job.task.metric, task=job.task)
        self._steps = steps_of(job.candidate)
        self._endless = 0.0

    def notes(self) -> list[dict[str, Any]]:
        """What a reader should know of the last answers."""
        return [{"kind": "endless", "percent": round(100 * self._endless)}] if self._endless > _MOST_ENDLESS else []

    def __call__(self, module: Any) -> float:
        examples = [Example(row.id, {"": row.request.query}, (row.target,)) for row in self._rows]
        with merged(module) as plain:
            model = self._evaluator(plain)
            completions = model.generate([row.request for row in self._rows])
        self._endless = sum(completion.finish == "length" for completion in completions) / max(1, len(completions))
        opened = Opened(self._job.candidate, model, steps=self._steps)
        answers = [
            finish(opened, example, row.request, completion)
            for example, row, completion in zip(examples, self._rows, completions, strict=True)
        ]
        # A checkpoint must not look better for failing more.
        return worth(self._metric, examples, self._metric.score(examples, answers), self._job.task.output.labels)


def steps_of(candidate: Candidate) -> tuple[Callable[[str], Any], ...]:
    """What is done to a candidate's text before it is an answer."""
    return bind(candidate.output.steps)
