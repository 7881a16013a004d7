"""Judging recorded answers: opening a judge, holding its marks back until it is licensed, and marking a run's answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rung.config.judge import JudgeSpec, load_judge
from rung.core.append_log import AppendLog, read_log
from rung.core.errors import UsageError
from rung.core.evaluation import Answer, Metric
from rung.core.method import Progress
from rung.core.model import Failure, Model
from rung.core.registry import find
from rung.core.task import Example
from rung.experiment.judges.dimensions import Marks, before_and_after, dimension_rows
from rung.experiment.limits import Limits
from rung.experiment.purse import PaidModel, Purse, budget_of
from rung.experiment.sentences import Sentences, percent_text
from rung.metrics.judge import (
    CHUNK,
    Dimension,
    Grade,
    Judge,
    JudgedDimension,
    Mode,
    Rubric,
    dimension,
    known_dimensions,
)
from rung.models.cache import CachedModel
from rung.models.embedded import cache_folder
from rung.store.judging import MAX_FAILURES, DimensionTable, Licence, write_table
from rung.store.records import Text
from rung.store.runs import RunFolder, reading

LEAST_LABELS = 50
LOG = "judgements.jsonl"
say = Sentences(Path(__file__).with_name("judging.json"))


def rubric_of(spec: JudgeSpec) -> Rubric:
    """What a judge of a file marks, and with which marks."""
    dimensions = tuple(dimension(name, text, spec.language) for name, text in spec.dimensions.items())
    return Rubric(dimensions, spec.scale, spec.language, spec.reference)


def open_judge(path: Path, *, max_cost: float | None = None, run: RunFolder | None = None) -> Judge:
    """The judge of a task.yaml or judge.yaml; what an endpoint has answered once is not asked and paid for again.

    `max_cost`: money for its endpoint, in place of the file's budget.max_cost; above it asking raises InterruptedRun E4003.
    It is for this call; where the judge works for a `run` it is over the whole run, what earlier commands spent included,
    and the run's own limit goes before that of the file. Raises UsageError E1311 for a limit that is no amount.
    """
    asked = Limits(max_cost=max_cost).max_cost
    spec = load_judge(path, known=known_dimensions())
    model: Model = find("model", spec.model.kind).open(spec.model)
    if spec.endpoint:
        own = budget_of(run.read_run()) if run else None
        limit = next((each for each in (asked, own, spec.max_cost) if each is not None), None)
        purse = Purse.of_run(run.path, limit) if run else Purse(limit)
        model = CachedModel(PaidModel(model, purse), cache_folder() / "judging.sqlite")
    return Judge(model, rubric_of(spec))


def withheld(judge: Judge, mode: Mode, licence: Licence | None, dimension: str) -> Text | None:
    """Why a dimension's marks may not be shown; None where they may.

    A licence counts for the very judge it was measured on: model, wording, dimensions and scale.
    """
    if licence is None:
        return say("none", dimension=dimension, n=LEAST_LABELS)
    found = licence.of(dimension if mode == "grade" else "overall")
    if found is None or licence.mode != mode or licence.judge != judge.fingerprint(mode):
        return say("other", dimension=dimension, n=LEAST_LABELS)
    if found.licensed:
        return None
    values = {
        "n": f"{found.needed or 0:,}",
        "kappa": "–" if found.kappa.point is None else f"{found.kappa.point:.2f}",
        "failed": f"{found.failed:,}",
        "asked": f"{found.n + found.failed:,}",
        "limit": percent_text(MAX_FAILURES),
    }
    return say(found.verdict, dimension=dimension, **values)


def licensed_metrics(
    judge: Judge, licence: Licence | None, wanted: Sequence[str] = ()
) -> tuple[list[Metric], list[Text]]:
    """The dimensions that may stand beside other metrics, and why the others may not.

    `wanted`: metrics that somebody asked for by name. Raises UsageError E4309 for one of those without a licence.
    """
    metrics: list[Metric] = []
    notes: list[Text] = []
    for each in judge.rubric.dimensions:
        metric = JudgedDimension(judge, each)
        reason = withheld(judge, "grade", licence, each.name)
        if reason is None:
            metrics.append(metric)
        elif metric.name in wanted:
            raise UsageError("E4309", reason=reason.en, reason_zh=reason.zh)
        else:
            notes.append(reason)
    return metrics, notes


@dataclass(frozen=True)
class Marking:
    """Where marks are kept while a judge works: no mark is paid for twice; where the judge failed, it is asked again."""

    judge: Judge
    log: Path

    def mark(
        self,
        candidate: str,
        dimension: Dimension,
        examples: Sequence[Example],
        answers: Sequence[Answer],
        progress: Progress,
    ) -> list[Grade]:
        stamp = self.judge.fingerprint("grade")
        here = (stamp, candidate, dimension.name)
        with reading(self.log):
            kept = {
                line["example"]: line
                for line in read_log(self.log)
                if (line["judge"], line["candidate"], line["dimension"]) == here and line["mark"]
            }
        left = [i for i, example in enumerate(examples) if example.id not in kept]
        with AppendLog(self.log) as log:
            for start in range(0, len(left), CHUNK):
                part = left[start : start + CHUNK]
                grades = self.judge.grade(dimension, [examples[i] for i in part], [answers[i] for i in part])
                lines = [
                    {
                        "judge": stamp,
                        "candidate": candidate,
                        "dimension": dimension.name,
                        "example": examples[i].id,
                        "mark": grade.mark,
                        "failure": [grade.failure.kind, grade.failure.message] if grade.failure else None,
                    }
                    for i, grade in zip(part, grades, strict=True)
                ]
                log.add(lines)
                kept |= {line["example"]: line for line in lines}
                progress.update(len(kept), len(examples), f"{dimension.name}: {candidate}")
        return [
            Grade(line["mark"], failure=Failure(*line["failure"]) if line["failure"] else None)
            for line in (kept[example.id] for example in examples)
        ]


def judge_run(
    run: RunFolder,
    judge: Judge,
    licence: Licence | None,
    *,
    before: str = "",
    after: str = "",
    progress: Progress,
) -> DimensionTable:
    """Mark the answers of two candidates of a run and write its `dimensions.judge.json`.

    A dimension without a licence is not asked about: its row says what is missing. Raises UsageError E4319 where there are
    not two candidates with answers.
    """
    systems = before_and_after(run, before=before, after=after)
    examples = {example.id: example for example in run.read_examples("test")}
    marking = Marking(judge, run.path / LOG)
    low, high = ends(judge.rubric.scale)
    found: list[Marks] = []
    groups: dict[str, str] = {}
    n = 0
    for each in judge.rubric.dimensions:
        reason = withheld(judge, "grade", licence, each.name)
        sides: list[Mapping[str, float | None]] = [{}, {}]
        for k, candidate in enumerate((systems.before, systems.after)):
            if reason is not None:
                break
            evaluation = run.read_evaluation(candidate, "test")
            rows = evaluation.rows if evaluation else ()
            groups |= {row.answer.example: row.group for row in rows}
            with reading(run.path / "examples.jsonl"):
                asked = [examples[row.answer.example] for row in rows]
            grades = marking.mark(candidate, each, asked, [row.answer for row in rows], progress)
            n = max(n, len(rows))
            sides[k] = {
                example.id: None if grade.failure else judge.rubric.value(grade.mark)
                for example, grade in zip(asked, grades, strict=True)
            }
        found.append(Marks(each.name, each.definition, sides[0], sides[1], low, high, reason))
    table = DimensionTable(
        source="judge",
        judge=judge.model.ref.id,
        before=systems.called(systems.before),
        after=systems.called(systems.after),
        rows=dimension_rows(found, systems, groups, n=n),
    )
    write_table(run.path, table)
    return table


def ends(scale: Sequence[str]) -> tuple[float, float]:
    """What the worst and the best mark are shown as: themselves where all marks are numbers, else 0 and 1."""
    try:
        sizes = [float(mark) for mark in scale]
    except ValueError:
        return 0.0, 1.0
    return (sizes[0], sizes[-1]) if all(map(math.isfinite, sizes)) else (0.0, 1.0)
