"""Arms that others have answered: recorded answers, judged by the task's metric or by a person's verdict in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, UsageError
from rung.core.evaluation import Answer, Metric
from rung.core.registry import create
from rung.core.task import Example, Language, OutputSpec, Task
from rung.experiment.comparing.recordings import (
    MANY,
    Columns,
    Recording,
    answer_of,
    example_of,
    read_recording,
    said,
)
from rung.experiment.diagnosing.arms import mark_answers
from rung.experiment.diagnosing.axes import ArmAnswers, Subject, find_axis
from rung.experiment.diagnosing.retrieval_failures import failures_of
from rung.store.diagnosis import Diagnosis, Mark
from rung.text.normalise import squeeze

_PASSAGES = ("passages", "retrieved", "contexts")
_SHOWN = 5


@dataclass(frozen=True)
class ArmColumns:
    """Which fields of an arm's rows mean what; empty: found by their usual names."""

    id: str = "id"
    question: str = ""
    answer: str = ""
    reference: str = ""
    group: str = ""
    label: str = ""
    """A person's verdict on the answer; without it the metric judges."""
    right: str = "correct"
    refused: str = "refusal"
    """The verdicts that mean right and refused; any other is wrong."""

    @property
    def recorded(self) -> Columns:
        """The same for whoever reads a recording."""
        return Columns(self.id, self.question, self.answer, self.reference, self.label, self.right, self.group)


def diagnose_recordings(
    arms: Mapping[str, Path],
    *,
    columns: ArmColumns | None = None,
    metric: str = "exact_match",
    language: Language = "en",
    name: str = "recorded",
) -> Diagnosis:
    """A diagnosis from files of recorded answers alone, without a task or a model.

    `arms`: plain, and as many of control, gold, format and both as there are; any other name is an arm of a retrieval
    system. Every file holds the same questions once. Raises UsageError E4202 without plain; DataError E4203 for fewer than
    10 questions, E4204 where the files hold different questions; what `read_recording` raises, and the fault of every row
    that cannot be read.
    """
    columns = columns or ArmColumns()
    _check_names(arms)
    found = {arm: _read(arm, path, columns) for arm, path in arms.items()}
    _check_same({arm: list(recording.rows) for arm, recording in found.items()})
    questions = [_example(key, found["plain"]) for key in found["plain"].rows]
    task = Task(
        name=name,
        instruction="",
        inputs=("question",),
        output=OutputSpec(kind="text"),
        metrics=(metric,),
        language=language,
    )
    judge: Metric | None = None if columns.label else create("metric", metric, task=task)
    marked = [_arm(recording, questions, columns, task, judge) for recording in found.values()]
    subject = Subject(
        name=name,
        metric="judged" if columns.label else metric,
        questions=questions,
        model=", ".join(path.name for path in arms.values()),
        split="all",
        partly=any(arm.partly for arm in marked),
    )
    return _diagnosis(subject, [arm.answers for arm in marked], questions)


def diagnose_task_recordings(
    arms: Mapping[str, Path], task: Task, metric: Metric, questions: Sequence[Example], seed: int
) -> Diagnosis:
    """The same for a task: answers to its dev questions, found by id or by text and judged by its metric.

    Answers to other questions are counted and left out; test questions are among those, since what they say would
    steer what is tried next. Errors are those of `diagnose_recordings`, and DataError E4205 for a question that an arm
    answers twice, by its id and by its text.
    """
    _check_names(arms)
    columns = ArmColumns()
    by_text = {squeeze(example.text): example.id for example in questions}
    known = {example.id for example in questions}
    found: dict[str, Recording] = {}
    outside = 0
    for arm, path in arms.items():
        recording, rows = _read(arm, path, columns), {}
        for key, row in recording.rows.items():
            id = key if key in known else by_text.get(squeeze(key))
            if id is None:
                outside += 1
            elif id in rows:
                raise DataError("E4205", recording.where(key), key=id)
            else:
                rows[id] = row
        found[arm] = replace(recording, rows=rows)
    _check_same({arm: list(recording.rows) for arm, recording in found.items()})
    asked = [example for example in questions if example.id in found["plain"].rows]
    marked = [_arm(recording, asked, columns, task, metric) for recording in found.values()]
    subject = Subject(
        name=task.name,
        metric=metric.name,
        questions=asked,
        model=", ".join(path.name for path in arms.values()),
        seed=seed,
        outside=outside,
        partly=any(arm.partly for arm in marked),
    )
    return _diagnosis(subject, [arm.answers for arm in marked], asked)


def _diagnosis(subject: Subject, arms: Sequence[ArmAnswers], questions: Sequence[Example]) -> Diagnosis:
    gold = next((arm.marks for arm in arms if arm.name == "gold"), None)
    retrieval = [
        failures_of(arm.name, questions, arm.answers, arm.marks, gold)
        for arm in arms
        if arm.name not in {"plain", "control", "gold", "format", "both"}
    ]
    return find_axis(subject, arms, retrieval=retrieval)


def _check_names(arms: Mapping[str, Path]) -> None:
    if "plain" not in arms:
        raise UsageError("E4202", found=", ".join(arms) or "-")


def _check_same(ids: Mapping[str, Sequence[str]]) -> None:
    """Every arm must have answered the same questions; one without an answer is recorded as a failure."""
    plain = set(ids["plain"])
    for arm, found in ids.items():
        apart = sorted(plain ^ set(found))
        if apart:
            lacking = len(plain - set(found))
            shown = ", ".join(name[:60] for name in apart[:_SHOWN])
            raise DataError("E4204", arm=arm, lacking=lacking, extra=len(apart) - lacking, ids=shown)


def _read(arm: str, path: Path, columns: ArmColumns) -> Recording:
    recording = read_recording(path, columns.recorded, arm)
    if recording.rejects:
        # A row that is left out here would be missed in every other arm.
        problems = [reject.problem for reject in recording.rejects[:MANY]]
        raise DataError(problems[0].code, problems=problems)
    return recording


def _example(key: str, recording: Recording) -> Example:
    documents = recording.rows[key].values.get("documents") or ()
    named = documents if isinstance(documents, list) else (documents,) if documents else ()
    return replace(example_of(key, recording), documents=tuple(map(str, named)))


@dataclass(frozen=True)
class _Judged:
    answers: ArmAnswers
    partly: bool


def _arm(
    recording: Recording, questions: Sequence[Example], columns: ArmColumns, task: Task, metric: Metric | None
) -> _Judged:
    answers = {example.id: _answer(example.id, recording) for example in questions}
    if metric is not None:
        marked = mark_answers(task, metric, questions, answers)
        return _Judged(ArmAnswers(recording.name, "recorded", marked.marks, answers), marked.partly)
    verdicts = {id: _verdict(recording.rows[id].values.get(columns.label), columns) for id in answers}
    marks: dict[str, Mark] = {id: verdict for id, verdict in verdicts.items() if verdict is not None}
    return _Judged(ArmAnswers(recording.name, "recorded", marks, answers), partly=False)


def _verdict(value: Any, columns: ArmColumns) -> Mark | None:
    if not said(value):
        return None
    meant: dict[str, Mark] = {columns.refused.casefold(): "refused", columns.right.casefold(): "right"}
    return meant.get(str(value).strip().casefold(), "wrong")


def _answer(key: str, recording: Recording) -> Answer:
    row = recording.rows[key].values
    shown: list[Any] = next((row[name] for name in _PASSAGES if isinstance(row.get(name), list)), [])
    return replace(answer_of(key, recording), passages=tuple(map(str, shown)))
