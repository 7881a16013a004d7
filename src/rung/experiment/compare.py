"""Comparing answers that other systems have already given: an ordinary run over recorded models, with the same decision.

Right and wrong come from a metric and reference answers, or from a person's verdict in the file (`label`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.errors import DataError, UsageError
from rung.core.evaluation import Answer, Evaluation, EvaluationHeader, Metric, Resources, Row, Score
from rung.core.hashing import hash_file, hash_json
from rung.core.model import Failure, ModelRef, WeightsRef
from rung.core.registry import create
from rung.core.task import Example, OutputSpec, Split, Task
from rung.data.table import read_table
from rung.experiment.decide import Contender, Prices, Protocol, decide
from rung.experiment.evaluate import summarise
from rung.store.atomic import run_lock, write_json, write_text
from rung.store.records import Cell, Outcome, Plan
from rung.store.runs import RunFolder

QUESTION = ("question", "query", "input", "text")
ANSWER = ("answer", "output", "prediction", "response", "model_answer")
REFERENCE = ("reference", "references", "gold", "gold_answer", "expected", "label")


class Judged:
    """Share of answers that a person judged right; the verdicts are in the file, so nothing is scored anew."""

    name = "judged"
    better: Literal["higher", "lower"] = "higher"
    needs: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ("right",)

    def __init__(self, verdicts: Mapping[str, bool]) -> None:
        self._verdicts = verdicts

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        return [
            Score("scored", float(verdict), {"right": float(verdict)}) if verdict is not None else Score("unscored")
            for verdict in (self._verdicts.get(example.id) for example in examples)
        ]

    def aggregate(self, totals: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore", divide="ignore"):
            share: NDArray[np.float64] = totals[..., 0] / n
        return share


@dataclass(frozen=True)
class Columns:
    """Which fields of the rows mean what; empty: found by their usual names."""

    id: str = "id"
    question: str = ""
    answer: str = ""
    reference: str = ""
    label: str = ""
    """A person's verdict on the answer."""
    right: str = "correct"
    """The verdict that means right; any other is wrong."""
    group: str = ""


@dataclass(frozen=True)
class Recording:
    """One system's answers."""

    name: str
    path: Path
    rows: Mapping[str, Mapping[str, Any]]
    rejected: int


def compare_files(
    files: Sequence[Path],
    *,
    columns: Columns | None = None,
    metric: str = "exact_match",
    margin: float = 0.02,
    language: Literal["en", "zh"] = "en",
    runs: Path = Path("runs"),
) -> RunFolder:
    """Compare recorded answers on the questions that all files share; what only some hold is counted and said.

    Raises UsageError E1304 for fewer than two files, DataError E2650 where no question is shared, E2651 where a field is
    missing, E2652 for a question that stands twice in a file.
    """
    columns = columns or Columns()
    if len(files) < 2:
        raise UsageError("E1304", n=len(files))
    recordings = [_read(path, columns, name) for path, name in zip(files, _names(files), strict=True)]
    shared = [key for key in recordings[0].rows if all(key in recording.rows for recording in recordings)]
    if not shared:
        raise DataError("E2650", files=", ".join(path.name for path in files))
    examples = [_example(key, recordings[0].rows[key], columns) for key in shared]
    task = _task(columns, metric, margin, language)
    stamp = hash_json([[hash_file(path) for path in files], task.hash, columns.label, columns.right], 8)
    run = RunFolder(runs / f"compare-{stamp}")
    with run_lock(run.path):
        _write(run, recordings, examples, task, columns)
    return run


def _names(files: Sequence[Path]) -> list[str]:
    stems = [path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".csv") for path in files]
    return stems if len(set(stems)) == len(stems) else [path.as_posix() for path in files]


def _read(path: Path, columns: Columns, name: str) -> Recording:
    if not path.is_file():
        raise UsageError("E1305", path=path)
    table = read_table(path)
    for field in (columns.question, columns.answer, columns.reference, columns.label, columns.group):
        if field and field not in table.columns:
            raise DataError("E2651", path.name, field=field, known=", ".join(table.columns))
    rows: dict[str, Mapping[str, Any]] = {}
    for number, row in enumerate(table.rows, 1):
        named = row.get(columns.id)
        key = str(named if _said(named) else _field(row, columns.question, QUESTION, path, number))
        if key in rows:
            raise DataError("E2652", f"{path.name}:{number}", key=key[:80])
        rows[key] = row
    return Recording(name, path, rows, len(table.rejects))


def _said(value: Any) -> bool:
    """0 and False are values; nothing and blank text are not."""
    return value is not None and str(value).strip() != ""


def _field(row: Mapping[str, Any], named: str, usual: Sequence[str], path: Path, number: int) -> Any:
    for name in (named,) if named else usual:
        if _said(row.get(name)):
            return row[name]
    raise DataError("E2651", f"{path.name}:{number}", field=named or " / ".join(usual), known=", ".join(map(str, row)))


def _example(key: str, row: Mapping[str, Any], columns: Columns) -> Example:
    question = next(
        (str(row[name]) for name in ((columns.question,) if columns.question else QUESTION) if row.get(name)), key
    )
    names = (columns.reference,) if columns.reference else REFERENCE
    found = next((row[name] for name in names if _said(row.get(name)) and name != columns.label), None)
    references = tuple(map(str, found)) if isinstance(found, list) else (str(found),) if found is not None else ()
    group = str(row[columns.group]) if columns.group and _said(row.get(columns.group)) else ""
    return Example(key, {"question": question}, references, group)


def _task(columns: Columns, metric: str, margin: float, language: Literal["en", "zh"]) -> Task:
    return Task(
        name="compare",
        instruction="",
        inputs=("question",),
        output=OutputSpec(kind="text"),
        metrics=("judged",) if columns.label else (metric,),
        language=language,
        margin=margin,
    )


def _write(
    run: RunFolder, recordings: Sequence[Recording], examples: Sequence[Example], task: Task, columns: Columns
) -> None:
    split = Split(name="test", ids=tuple(e.id for e in examples), hash=hash_json([e.hash for e in examples]))
    write_text(run.path / "examples.jsonl", "".join(_line(example) for example in examples))
    run.write_splits(
        {"schema_version": 1, "official": True, "seed": 0, "splits": {"test": split.model_dump(mode="json")}}
    )
    cells, contenders = [], []
    metric: Metric | None = None
    for recording in recordings:
        metric = _metric(recording, task, columns)
        candidate = _candidate(recording)
        write_json(
            run.candidate_folder(candidate.id) / "candidate.json",
            {"id": candidate.id, **candidate.model_dump(mode="json")},
        )
        cell = Cell(method="recorded", model=recording.name, rank=0)
        cells.append(cell)
        outcome = Outcome(cell=cell, status="done", candidate=candidate.id)
        run.write_outcome(outcome)
        evaluation = _evaluation(recording, candidate, examples, split, metric, columns)
        run.write_evaluation(evaluation)
        contenders.append(Contender(outcome, evaluation))
    assert metric is not None
    run.write_plan(Plan(mode="compare", cells=tuple(cells), splits={"test": len(examples)}))
    run.write_run(
        {
            "id": run.path.name,
            "name": "compare",
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command": "rung compare " + " ".join(recording.path.name for recording in recordings),
            "seed": 0,
            "currency": "USD",
            "task": task.model_dump(mode="json"),
            "data": {
                "n": {"test": len(examples)},
                "rejected": sum(recording.rejected for recording in recordings),
                "only_in_some": {r.name: len(r.rows) - len(examples) for r in recordings},
            },
            "finished": True,
        }
    )
    run.write_decision(decide(contenders, Protocol(task=task, metric=metric, prices=Prices())))


def _line(example: Example) -> str:
    import json

    record = {
        "id": example.id,
        "split": "test",
        "inputs": dict(example.inputs),
        "references": list(example.references),
        "group": example.group,
        "documents": [],
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


def _metric(recording: Recording, task: Task, columns: Columns) -> Metric:
    if not columns.label:
        found: Metric = create("metric", task.metric, task=task)
        return found
    verdicts = {
        key: str(row[columns.label]).strip().casefold() == columns.right.casefold()
        for key, row in recording.rows.items()
        if _said(row.get(columns.label))
    }
    if not verdicts:
        known = ", ".join(map(str, next(iter(recording.rows.values()))))
        raise DataError("E2651", recording.path.name, field=columns.label, known=known)
    return Judged(verdicts)


def _candidate(recording: Recording) -> Candidate:
    weights = WeightsRef(path=recording.path.name, sha256=hash_file(recording.path))
    return Candidate(
        method="recorded",
        model=ModelRef(kind="recorded", id=recording.name, engine="recorded", weights=weights),
        prompt=PromptSlot(instruction="", layout="bare", fields=("question",)),
        output=OutputSlot(),
    )


def _evaluation(
    recording: Recording,
    candidate: Candidate,
    examples: Sequence[Example],
    split: Split,
    metric: Metric,
    columns: Columns,
) -> Evaluation:
    answers = [_answer(example, recording.rows[example.id], recording, columns) for example in examples]
    scores = metric.score(examples, answers)
    rows = tuple(
        Row(answer, {metric.name: score}, example.group)
        for example, answer, score in zip(examples, answers, scores, strict=True)
    )
    return Evaluation(
        header=EvaluationHeader(
            candidate=candidate.id,
            method="recorded",
            model=recording.name,
            split="test",
            split_hash=split.hash,
            n=len(rows),
            metrics=(metric.name,),
        ),
        rows=rows,
        summaries={metric.name: summarise(metric, rows)},
        resources=Resources(
            money=sum(answer.money for answer in answers),
            tokens_in=sum(answer.tokens_in for answer in answers),
            tokens_out=sum(answer.tokens_out for answer in answers),
        ),
    )


def _answer(example: Example, row: Mapping[str, Any], recording: Recording, columns: Columns) -> Answer:
    names = (columns.answer,) if columns.answer else ANSWER
    text = next((str(row[name]) for name in names if row.get(name) is not None), "")
    failure = None
    if row.get("failure"):
        failure = Failure("error", str(row["failure"]))
    elif not text and not columns.label:
        failure = Failure("empty", "no answer is recorded")
    return Answer(
        example=example.id,
        text=text,
        failure=failure,
        money=float(row.get("money") or 0.0),
        tokens_in=int(row.get("tokens_in") or 0),
        tokens_out=int(row.get("tokens_out") or 0),
    )
