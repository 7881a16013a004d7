"""Comparing answers that other systems have already given: an ordinary run over recorded models, with the same decision.

Scores come from metrics and reference answers, from a person's verdicts in the file (`label`), or are there already (`score`).
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.durable import write_json
from rung.core.errors import DataError, Problem, UsageError
from rung.core.evaluation import Answer, Evaluation, EvaluationHeader, Metric, Resources, Row, Score
from rung.core.hashing import hash_json
from rung.core.lock import folder_lock
from rung.core.model import ModelRef, WeightsRef
from rung.core.registry import create
from rung.core.task import Example, Language, OutputSpec, Split, Task
from rung.experiment.comparing.gate import Gate, check_gate, say
from rung.experiment.comparing.pairs import pair_tests, parts_of
from rung.experiment.comparing.recordings import (
    MANY,
    Columns,
    Recording,
    answer_of,
    example_of,
    number_in,
    read_recordings,
    said,
    shared_questions,
)
from rung.experiment.costs import Prices
from rung.experiment.decide import Contender, Protocol, decide, price
from rung.experiment.evaluate import summarise
from rung.metrics.judge import place
from rung.metrics.scoring import mean_of_only_part, scored
from rung.store.comparison import Comparison, PairTest, write_comparison
from rung.store.records import Cell, Decision, Outcome, Plan, Text
from rung.store.runs import RunFolder

__all__ = ["Columns", "Gate", "Given", "compare_files"]

LEAST = 10
"""Paired examples below which nothing is compared."""


class Given:
    """Scores that are in the file: a person's verdicts or marks, or another program's numbers. Nothing is scored anew."""

    better: Literal["higher", "lower"] = "higher"
    needs: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ("value",)

    def __init__(self, name: str, values: Mapping[str, float]) -> None:
        self.name = name
        self._values = values

    def score(self, examples: Sequence[Example], answers: Sequence[Answer]) -> list[Score]:
        given = [self._values.get(example.id) for example in examples]
        return [Score("unscored") if value is None else scored(self.parts[0], value) for value in given]

    def aggregate(self, totals: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
        return mean_of_only_part(totals, n)


def compare_files(
    files: Sequence[Path],
    *,
    columns: Columns | None = None,
    metric: str | Sequence[str] = (),
    judged: Sequence[Metric] = (),
    margin: float = 0.02,
    language: Language = "en",
    gate: Gate | None = None,
    runs: Path = Path("runs"),
) -> RunFolder:
    """Compare recorded answers on the same questions; the verdict lies in the run folder as after any run.

    `metric`: registered metrics, the first of which decides unless the file holds labels or scores; exact_match when there
    is nothing else. `judged`: the dimensions of a licensed judge (`metrics.judge.JudgedDimension`), which stand beside
    them; one decides where `metric` names it first.

    Raises what `read_recordings` and `shared_questions` raise; DataError E4301 for fewer than ten paired examples, E4303
    with every label that is not on the scale, E4304 for a score that is no number from 0 to 1, E4308 for a metric that
    gives a score that is no number; UsageError E1214 for a margin that is none, E4305 for a gate on an unknown baseline,
    E4306 for a deciding metric where lower is better, E4323 where no label says what is to mean right.
    """
    if not 0 <= margin <= 1:
        raise UsageError("E1214", "--margin", value=margin, limit="0 … 1")
    columns = columns or Columns()
    recordings = read_recordings(files, columns)
    shared = shared_questions(recordings, common=columns.common)
    if len(shared) < LEAST:
        raise DataError("E4301", n=len(shared), least=LEAST)
    if gate is not None and gate.baseline not in {recording.name for recording in recordings}:
        raise UsageError("E4305", name=gate.baseline, known=", ".join(recording.name for recording in recordings))
    examples = [example_of(key, recordings[0]) for key in shared]
    names = (metric,) if isinstance(metric, str) else tuple(metric)
    task = _task(columns, names, judged, margin, language)
    metrics = _metrics(task, examples, columns, judged)
    if columns.label:
        _check_right(recordings, columns)
    evaluations = [_evaluation(recording, examples, task, metrics) for recording in recordings]
    deciding = _deciding(metrics, recordings[0], task)
    _check_pairs(evaluations, task.metric)
    asked = [task.hash, asdict(columns), asdict(gate) if gate else None]
    stamp = hash_json([[recording.sha256 for recording in recordings], asked], 8)
    run = RunFolder(runs / f"compare-{stamp}")
    with folder_lock(run.path):
        _write(run, recordings, examples, task, deciding, evaluations, gate)
    return run


def _task(columns: Columns, names: Sequence[str], judged: Sequence[Metric], margin: float, language: Language) -> Task:
    given = "score" if columns.score else ""
    if columns.label:
        given = "marks" if columns.scale and columns.right not in columns.scale else "judged"
    metrics = ((given,) if given else ()) + tuple(names)
    metrics = metrics or ("exact_match",)
    metrics += tuple(metric.name for metric in judged if metric.name not in metrics)
    return Task(
        name="compare",
        instruction="",
        inputs=("question",),
        output=OutputSpec(kind="text"),
        metrics=metrics,
        language=language,
        margin=margin,
    )


def _metrics(task: Task, examples: Sequence[Example], columns: Columns, judged: Sequence[Metric]) -> dict[str, Metric]:
    """Every metric but the one that is read from the file."""
    ready = {metric.name: metric for metric in judged}
    first = 1 if columns.label or columns.score else 0
    for name in task.metrics[first:]:
        if name not in ready:
            ready[name] = _made(name, task, examples)
    return ready


def _made(name: str, task: Task, examples: Sequence[Example]) -> Metric:
    try:
        made: Metric = create("metric", name, task=task)
    except DataError as error:
        if error.code != "E2503":
            raise
        # A metric over labels: those of the references.
        labels = tuple(sorted({reference for example in examples for reference in example.references}))
        with_labels = task.model_copy(update={"output": OutputSpec(kind="label", labels=labels)})
        made = create("metric", name, task=with_labels)
    return made


def _deciding(metrics: Mapping[str, Metric], recording: Recording, task: Task) -> Metric:
    metric = metrics.get(task.metric) or _given(recording, task.metric)
    if metric.better == "lower":
        raise UsageError("E4306", metric=metric.name)
    return metric


def _given(recording: Recording, name: str) -> Given:
    """The scores of a file. Raises DataError with every label or number that cannot be one."""
    columns = recording.columns
    if columns.score:
        rows = [key for key, row in recording.rows.items() if said(row.values.get(columns.score))]
        return Given(name, {key: number_in(key, recording, columns.score, most=1.0) for key in rows})
    labels = _labels(recording)
    scale = {mark.casefold(): mark for mark in columns.scale}
    wrong = [key for key, label in labels.items() if scale and label.casefold() not in scale]
    if wrong:
        values = {"scale": ", ".join(columns.scale), "n": len(wrong)}
        problems = [Problem("E4303", recording.where(key), {"value": labels[key][:40], **values}) for key in wrong]
        raise DataError("E4303", problems=problems[:MANY])
    if name == "marks":
        return Given(name, {key: place(scale[label.casefold()], columns.scale) for key, label in labels.items()})
    right = columns.right.casefold()
    return Given(name, {key: float(label.casefold() == right) for key, label in labels.items()})


def _labels(recording: Recording) -> dict[str, str]:
    """What people said, by question. Raises DataError E2651 where they said nothing at all."""
    field = recording.columns.label
    found = {key: str(row.values[field]).strip() for key, row in recording.rows.items() if said(row.values.get(field))}
    if not found:
        known = ", ".join(map(str, next(iter(recording.rows.values())).values))
        raise DataError("E2651", recording.path.name, field=field, known=known)
    return found


def _check_right(recordings: Sequence[Recording], columns: Columns) -> None:
    """Raises UsageError E4323 where nobody ever said the word that means right: it is another word."""
    if columns.scale:
        return
    found = Counter(label for recording in recordings for label in _labels(recording).values())
    if columns.right.casefold() not in {label.casefold() for label in found}:
        shown = ", ".join(label[:40] for label, _ in found.most_common(MANY))
        raise UsageError("E4323", right=columns.right, found=shown)


def _evaluation(
    recording: Recording, examples: Sequence[Example], task: Task, metrics: Mapping[str, Metric]
) -> Evaluation:
    answers = [answer_of(example.id, recording) for example in examples]
    used = [metrics.get(name) or _given(recording, name) for name in task.metrics]
    scores = {metric.name: metric.score(examples, answers) for metric in used}
    for name, found in scores.items():
        bad = [
            example.id
            for example, score in zip(examples, found, strict=True)
            if not all(map(math.isfinite, (score.value, *score.parts.values())))
        ]
        if bad:
            raise DataError("E4308", recording.name, metric=name, n=len(bad), first=bad[0][:80])
    rows = tuple(
        Row(answer, {name: scores[name][i] for name in scores}, example.group)
        for i, (example, answer) in enumerate(zip(examples, answers, strict=True))
    )
    return Evaluation(
        header=EvaluationHeader(
            candidate=_candidate(recording).id,
            method="recorded",
            model=recording.name,
            split="test",
            split_hash=_split(examples).hash,
            n=len(rows),
            metrics=tuple(scores),
        ),
        rows=rows,
        summaries={metric.name: summarise(metric, rows) for metric in used},
        resources=Resources(
            money=sum(answer.money for answer in answers),
            tokens_in=sum(answer.tokens_in for answer in answers),
            tokens_out=sum(answer.tokens_out for answer in answers),
        ),
    )


def _check_pairs(evaluations: Sequence[Evaluation], metric: str) -> None:
    """Raises DataError E4301 where some pair of systems shares fewer than ten scored examples."""
    scored = [
        np.array([row.scores[metric].status == "scored" for row in evaluation.rows]) for evaluation in evaluations
    ]
    fewest = min(int((a & b).sum()) for a, b in combinations(scored, 2))
    if fewest < LEAST:
        raise DataError("E4301", n=fewest, least=LEAST)


def _split(examples: Sequence[Example]) -> Split:
    return Split(name="test", ids=tuple(e.id for e in examples), hash=hash_json([e.hash for e in examples]))


def _candidate(recording: Recording) -> Candidate:
    weights = WeightsRef(path=recording.path.name, sha256=recording.sha256)
    return Candidate(
        method="recorded",
        model=ModelRef(kind="recorded", id=recording.name, engine="recorded", weights=weights),
        prompt=PromptSlot(instruction="", layout="bare", fields=("question",)),
        output=OutputSlot(),
    )


def _write(
    run: RunFolder,
    recordings: Sequence[Recording],
    examples: Sequence[Example],
    task: Task,
    metric: Metric,
    evaluations: Sequence[Evaluation],
    gate: Gate | None,
) -> None:
    split = _split(examples)
    run.write_examples({"test": examples})
    run.write_splits(
        {"schema_version": 1, "official": True, "seed": 0, "splits": {"test": split.model_dump(mode="json")}}
    )
    contenders = []
    for recording, evaluation in zip(recordings, evaluations, strict=True):
        candidate = _candidate(recording)
        write_json(
            run.candidate_folder(candidate.id) / "candidate.json",
            {"id": candidate.id, **candidate.model_dump(mode="json")},
        )
        cell = Cell(method="recorded", model=recording.name, rank=0)
        outcome = Outcome(cell=cell, status="done", candidate=candidate.id)
        run.write_outcome(outcome)
        run.write_evaluation(evaluation)
        contenders.append(Contender(outcome, evaluation))
    cells = tuple(contender.outcome.cell for contender in contenders)
    run.write_plan(Plan(mode="compare", cells=cells, splits={"test": len(examples)}))
    rejected = sum({recording.path: len(recording.rejects) for recording in recordings}.values())
    left = {recording.name: len(recording.rows) - len(examples) for recording in recordings}
    run.write_run(
        {
            "id": run.path.name,
            "name": "compare",
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "command": "rung compare " + " ".join(dict.fromkeys(recording.path.name for recording in recordings)),
            "seed": 0,
            "currency": "USD",
            "task": task.model_dump(mode="json"),
            "data": {"n": {"test": len(examples)}, "rejected": rejected, "only_in_some": left},
            "finished": True,
        }
    )
    run.write_costs(price(contenders, Prices()))
    decision = decide(contenders, Protocol(task=task, metric=metric, prices=Prices()))
    identical = _identical(evaluations, metric)
    notes = _notes(len(examples), sum(left.values()), rejected)
    if identical:
        same = say("note.identical", n=f"{len(examples):,}")
        notes = (same, *notes)
        decision = _saying(decision, same)
    limit = task.constraints.max_failure_share
    checked = (
        check_gate(gate, evaluations, metric, margin=task.margin, max_failure_share=limit) if gate is not None else None
    )
    pairs = pair_tests(evaluations, metric)
    write_comparison(
        run.path,
        Comparison(metric=metric.name, pairs=pairs, identical=identical, gate=checked, notes=notes),
    )
    run.write_decision(_with_p_values(decision, pairs))


def _notes(n: int, left: int, rejected: int) -> tuple[Text, ...]:
    found = []
    if left:
        found.append(say("note.common", n=f"{n:,}", left=f"{left:,}"))
    if rejected:
        found.append(say("note.rejected", n=f"{rejected:,}"))
    return tuple(found)


def _saying(decision: Decision, text: Text) -> Decision:
    reason = decision.reason
    return decision.model_copy(update={"reason": Text(en=f"{reason.en} {text.en}", zh=reason.zh + text.zh)})


def _identical(evaluations: Sequence[Evaluation], metric: Metric) -> bool:
    parts = np.stack([parts_of(evaluation, metric) for evaluation in evaluations], axis=1)
    return bool(np.array_equal(parts, np.broadcast_to(parts[:, :1], parts.shape), equal_nan=True))


def _with_p_values(decision: Decision, tests: Sequence[PairTest]) -> Decision:
    """The decision's pairs with the uncorrected p value of McNemar's test, where it was made and they had none."""
    names = {standing.candidate: standing.model for standing in decision.standings}
    found = {frozenset((test.first, test.second)): test.p_value for test in tests if test.test == "mcnemar"}
    pairs = tuple(
        pair
        if pair.p_value is not None
        else pair.model_copy(update={"p_value": found.get(frozenset((names[pair.candidate], names[pair.other])))})
        for pair in decision.pairs
    )
    return decision.model_copy(update={"pairs": pairs})
