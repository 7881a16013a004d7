"""Arms that others have answered: recorded answers, judged by the task's metric or by a person's verdict in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, UsageError
from rung.core.evaluation import Answer, Metric
from rung.core.model import Failure
from rung.core.registry import create
from rung.core.task import Example, Language, OutputSpec, Task
from rung.data.table import read_table
from rung.experiment.comparing.recordings import ANSWER, QUESTION
from rung.experiment.diagnosing.arms import mark_answers
from rung.experiment.diagnosing.axes import ArmAnswers, Subject, find_axis
from rung.experiment.diagnosing.retrieval_failures import failures_of
from rung.store.diagnosis import Diagnosis, Mark
from rung.text.normalise import squeeze

_REFERENCE = ("reference", "references", "gold", "gold_answer", "expected")
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
    system. Every file holds the same questions once. Raises UsageError E4202 without plain, E1305 for a missing file;
    DataError E4203 for fewer than 10 questions, E4204 where the files hold different questions, E4205 for a question
    that stands twice, E2651 for a missing field.
    """
    columns = columns or ArmColumns()
    _check_names(arms)
    rows = {arm: _read(path, columns) for arm, path in arms.items()}
    _check_same({arm: list(found) for arm, found in rows.items()})
    questions = [_example(key, row, columns) for key, row in rows["plain"].items()]
    task = Task(
        name=name,
        instruction="",
        inputs=("question",),
        output=OutputSpec(kind="text"),
        metrics=(metric,),
        language=language,
    )
    judge: Metric | None = None if columns.label else create("metric", metric, task=task)
    marked = [_arm(arm, found, questions, columns, task, judge) for arm, found in rows.items()]
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
    steer what is tried next. Errors are those of `diagnose_recordings`.
    """
    _check_names(arms)
    columns = ArmColumns()
    by_text = {squeeze(example.text): example.id for example in questions}
    known = {example.id for example in questions}
    rows: dict[str, dict[str, Mapping[str, Any]]] = {}
    outside = 0
    for arm, path in arms.items():
        rows[arm] = {}
        for key, row in _read(path, columns).items():
            id = key if key in known else by_text.get(squeeze(key))
            if id is None:
                outside += 1
            elif id in rows[arm]:
                raise DataError("E4205", path.name, key=id)
            else:
                rows[arm][id] = row
    _check_same({arm: list(found) for arm, found in rows.items()})
    asked = [example for example in questions if example.id in rows["plain"]]
    marked = [_arm(arm, found, asked, columns, task, metric) for arm, found in rows.items()]
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


def _read(path: Path, columns: ArmColumns) -> dict[str, Mapping[str, Any]]:
    if not path.is_file():
        raise UsageError("E1305", path=path)
    table = read_table(path)
    for field in (columns.question, columns.answer, columns.reference, columns.group, columns.label):
        if field and field not in table.columns:
            raise DataError("E2651", path.name, field=field, known=", ".join(table.columns))
    rows: dict[str, Mapping[str, Any]] = {}
    for number, row in enumerate(table.rows, 1):
        key = _said(row, (columns.id,)) or _said(row, (columns.question,) if columns.question else QUESTION)
        where = f"{path.name}:{number}"
        if key is None:
            raise DataError("E2651", where, field=f"{columns.id} / question", known=", ".join(map(str, row)))
        if key in rows:
            raise DataError("E4205", where, key=key[:80])
        rows[key] = row
    if table.rejects:
        raise DataError(table.rejects[0].problem.code, problems=[reject.problem for reject in table.rejects[:20]])
    return rows


def _said(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
    found = next((row[name] for name in names if row.get(name) is not None and str(row[name]).strip()), None)
    return None if found is None else str(found)


def _example(key: str, row: Mapping[str, Any], columns: ArmColumns) -> Example:
    question = _said(row, (columns.question,) if columns.question else QUESTION) or key
    names = (columns.reference,) if columns.reference else _REFERENCE
    found = next((row[name] for name in names if row.get(name) is not None), None)
    references = tuple(map(str, found)) if isinstance(found, list) else () if found is None else (str(found),)
    documents = row.get("documents") or ()
    named = tuple(map(str, documents)) if isinstance(documents, list) else (str(documents),)
    group = (_said(row, (columns.group,)) or "") if columns.group else ""
    return Example(key, {"question": question}, references, group, named if documents else ())


@dataclass(frozen=True)
class _Judged:
    answers: ArmAnswers
    partly: bool


def _arm(
    name: str,
    rows: Mapping[str, Mapping[str, Any]],
    questions: Sequence[Example],
    columns: ArmColumns,
    task: Task,
    metric: Metric | None,
) -> _Judged:
    answers = {example.id: _answer(example, rows[example.id], columns) for example in questions}
    if metric is not None:
        marked = mark_answers(task, metric, questions, answers)
        return _Judged(ArmAnswers(name, "recorded", marked.marks, answers), marked.partly)
    verdicts = {id: _verdict(rows[id], columns) for id in answers}
    marks: dict[str, Mark] = {id: verdict for id, verdict in verdicts.items() if verdict is not None}
    return _Judged(ArmAnswers(name, "recorded", marks, answers), partly=False)


def _verdict(row: Mapping[str, Any], columns: ArmColumns) -> Mark | None:
    verdict = _said(row, (columns.label,))
    if verdict is None:
        return None
    folded = verdict.strip().casefold()
    return (
        "right"
        if folded == columns.right.casefold()
        else "refused"
        if folded == columns.refused.casefold()
        else "wrong"
    )


def _answer(example: Example, row: Mapping[str, Any], columns: ArmColumns) -> Answer:
    text = _said(row, (columns.answer,) if columns.answer else ANSWER) or ""
    failure = None
    if row.get("failure"):
        failure = Failure("error", str(row["failure"]))
    elif not text and not columns.label:
        failure = Failure("empty", "no answer is recorded")
    shown: list[Any] = next((row[name] for name in _PASSAGES if isinstance(row.get(name), list)), [])
    return Answer(example.id, text if failure is None else "", failure=failure, passages=tuple(map(str, shown)))
