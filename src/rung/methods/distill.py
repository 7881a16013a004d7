"""Distillation: a larger model answers the training questions, and the small one learns its answers.

Sequence-level distillation: Kim and Rush 2016, arXiv 1606.07947. Where the right answer is known, the teacher's is kept only if it
scores; a wrong one would teach its mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rung.core.answer import answer_stream
from rung.core.append_log import AppendLog, read_log
from rung.core.candidate import Candidate
from rung.core.errors import DataError
from rung.core.method import Budget, Cost
from rung.core.model import Model
from rung.core.task import Example, FitData
from rung.methods.estimate import training_cost
from rung.methods.fine_tune import MIN_ROWS, TRAINING, settings_from, training_blockers, tune
from rung.methods.slots import new_candidate, prompt_slot
from rung.methods.trainings import repeats
from rung.methods.tuning import metric_of, open_for
from rung.methods.writer import open_writer
from rung.training.rows import TrainingRow, render_rows

FILE = "teacher.jsonl"
"""In the method's own folder: {id, answer, failure, value}, a line for every question that the teacher was asked."""
_OWN = frozenset({"teacher", "keep"})
_CHUNK = 16


@dataclass(frozen=True)
class Lesson:
    """What a teacher said to one question."""

    id: str
    answer: str
    failure: str
    value: float
    """By the task's metric, against the known answer."""


class Distill:
    """The plain instruction, learned from a teacher's answers: `teacher` is a model as under `models`, `keep` the least score kept."""

    name = "distill"
    rank = 42
    settings = TRAINING | _OWN
    trained = True
    opt_in = True

    def blockers(self, fit: FitData, model: Model) -> list[str]:
        return training_blockers(fit, model) or ([] if fit.hints.get("teacher") else ["E2465"])

    def estimate(self, fit: FitData, model: Model) -> Cost:
        settings = settings_from(_rest(fit))
        return training_cost(fit, model, epochs=settings.epochs, longer=repeats(_rest(fit), settings))

    def adapt(self, fit: FitData, model: Model, budget: Budget) -> Candidate:
        plain = new_candidate(fit, model, self.name, prompt_slot(fit.task, layout="compact"))
        return self.train_on(fit, model, budget, plain)

    def train_on(self, fit: FitData, model: Model, budget: Budget, candidate: Candidate) -> Candidate:
        """Raises DataError E2466 where too few of the teacher's answers are good enough."""
        teacher = open_writer(fit.hints["teacher"], model, budget)
        assert teacher is not None
        lessons = _ask(fit, teacher, budget)
        least = float(fit.hints.get("keep", 0.5))
        kept = {lesson.id: lesson.answer for lesson in lessons if not lesson.failure and lesson.value >= least}
        failed = sum(bool(lesson.failure) for lesson in lessons)
        budget.journal.note("teacher", {"asked": len(lessons), "failed": failed, "kept": len(kept), "least": least})
        if len(kept) < MIN_ROWS:
            raise DataError("E2466", kept=len(kept), asked=len(lessons), failed=failed, least=least)
        rows = _taught(fit, candidate, model, kept)
        return tune(replace(fit, hints=_rest(fit)), model, budget, candidate, rows=rows)


def _rest(fit: FitData) -> dict[str, Any]:
    return {key: value for key, value in fit.hints.items() if key not in _OWN}


def _ask(fit: FitData, teacher: Model, budget: Budget) -> list[Lesson]:
    """The teacher's answers to train; those on disk are not asked for again."""
    path = fit.folder / FILE
    kept = {line["id"]: Lesson(**line) for line in read_log(path)}
    missing = [example for example in fit.train if example.id not in kept]
    opened = open_for(fit, new_candidate(fit, teacher, "prompt", prompt_slot(fit.task)), teacher)
    metric = metric_of(fit)
    with AppendLog(path) as log:
        for part in answer_stream(opened, missing, chunk=_CHUNK):
            examples: Sequence[Example] = [example for example, _, _ in part]
            answers = [answer for _, _, answer in part]
            scores = metric.score(examples, answers)
            done = [
                Lesson(
                    example.id, answer.text, answer.failure.kind if answer.failure else "", float(score.value or 0.0)
                )
                for example, answer, score in zip(examples, answers, scores, strict=True)
            ]
            log.add([{"id": d.id, "answer": d.answer, "failure": d.failure, "value": d.value} for d in done])
            kept |= {lesson.id: lesson for lesson in done}
            budget.progress.update(len(kept), len(fit.train), "the teacher answers")
    return [kept[example.id] for example in fit.train]


def _taught(fit: FitData, candidate: Candidate, model: Model, answers: dict[str, str]) -> list[TrainingRow]:
    opened = open_for(fit, candidate.model_copy(update={"adapter": None}), model)
    # Rendered as all of train is, so that no row is shown its duplicate or its group.
    rows = render_rows(opened, fit.train)
    return [replace(row, target=answers[row.id], rejected=()) for row in rows if row.id in answers]
