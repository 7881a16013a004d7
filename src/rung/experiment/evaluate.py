"""Answering a split and scoring it: the only place that opens test. Every answer is on disk before the next chunk is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.core.answer import Opened, answer_many, answer_stream
from rung.core.append_log import AppendLog, read_log
from rung.core.evaluation import (
    Answer,
    Evaluation,
    EvaluationHeader,
    Metric,
    Resources,
    Row,
    Score,
    Summary,
    parts_matrix,
)
from rung.core.hashing import seed_from
from rung.core.method import Progress, Silent
from rung.core.task import Example, Split
from rung.experiment.meter import PeakMemory, Stopwatch
from rung.stats.bootstrap import guarded_interval, resample
from rung.store.records import Opening
from rung.store.runs import RunFolder, row_from, row_record

LATENCY_QUESTIONS = 20
LATENCY_SECONDS = 8.0
"""Questions asked one at a time to measure how long a single answer takes: that many, or for that long, and five at least."""
_INTERVAL_DRAWS = 4_000
CHUNK = 32


@dataclass(frozen=True)
class Question:
    """What is to be evaluated: a candidate on a split."""

    candidate: str
    method: str
    opened: Opened
    split: Split
    examples: Sequence[Example]
    copied: frozenset[str] = frozenset()
    """Examples whose text the candidate may have been made from; the scores are given with and without them."""


def evaluate(
    run: RunFolder,
    question: Question,
    metrics: Sequence[Metric],
    *,
    progress: Progress | None = None,
    memory: PeakMemory | None = None,
) -> Evaluation:
    """Answer and score a split; an evaluation that is finished is read back, one that was interrupted goes on.

    Raises WriteError when the answers cannot be kept, BackendError when the backend is gone; what was answered stays.
    """
    done = run.read_evaluation(question.candidate, question.split.name)
    if done is not None and done.header.split_hash == question.split.hash:
        return done
    memory = memory or PeakMemory()
    memory.restart()
    path = run.evaluation_path(question.candidate, question.split.name).with_suffix(".part")
    kept = {line["answer"]["example"]: line for line in read_log(path)}
    left = [example for example in question.examples if example.id not in kept]
    if question.split.name == "test":
        _note_opening(run, question, len(left))
    with AppendLog(path) as log:
        for lines in _answer(question, left, metrics, progress or Silent()):
            log.add(lines)
            kept |= {line["answer"]["example"]: line for line in lines}
    lines = [kept[example.id] for example in question.examples]
    rows = tuple(row_from(line) for line in lines)
    evaluation = Evaluation(
        header=EvaluationHeader(
            candidate=question.candidate,
            method=question.method,
            model=question.opened.model.ref.id,
            split=question.split.name,
            split_hash=question.split.hash,
            n=len(rows),
            metrics=tuple(metric.name for metric in metrics),
            index=question.opened.passages.id if question.opened.passages else "",
            resumed=len(left) < len(question.examples),
        ),
        rows=rows,
        summaries={metric.name: summarise(metric, rows) for metric in metrics},
        resources=_resources(question, lines, rows, memory),
        extra=_without_copies(question, metrics, rows),
    )
    run.write_evaluation(evaluation)
    path.unlink(missing_ok=True)
    return evaluation


def _note_opening(run: RunFolder, question: Question, answered: int) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    opening = Opening(
        time=now,
        candidate=question.candidate,
        split_hash=question.split.hash,
        n=len(question.examples),
        answered=answered,
    )
    with AppendLog(run.openings_path) as log:
        log.add([opening.model_dump(mode="json")])


def _answer(question: Question, examples: Sequence[Example], metrics: Sequence[Metric], progress: Progress) -> Any:
    """Chunks of rows as they are written, each with its share of the time that its chunk took."""
    watch, count = Stopwatch(), 0
    for part in answer_stream(question.opened, examples, chunk=CHUNK):
        asked = [example for example, _, _ in part]
        answers = [answer for _, _, answer in part]
        spent = {"seconds": watch.seconds / len(part), "cpu": watch.cpu / len(part)}
        scores = {metric.name: metric.score(asked, answers) for metric in metrics}
        yield [
            row_record(Row(answer, {name: scores[name][i] for name in scores}, example.group)) | {"spent": spent}
            for i, (example, answer) in enumerate(zip(asked, answers, strict=True))
        ]
        count += len(part)
        progress.update(count, len(examples), f"answering {question.split.name}")
        watch = Stopwatch()


def summarise(metric: Metric, rows: Sequence[Row]) -> Summary:
    """Value and 95 % interval over the scored rows, whole groups resampled together; failures counted apart."""
    scores = [row.scores[metric.name] for row in rows]
    parts = parts_matrix(scores, metric.parts)[:, None, :]
    rng = np.random.default_rng(seed_from("interval", metric.name))
    drawn = resample(parts, [row.group for row in rows], metric.aggregate, rng, draws=_INTERVAL_DRAWS)
    bounds = guarded_interval(drawn)
    return Summary(
        metric=metric.name,
        value=number(drawn.point[0]),
        low=number(bounds.low[0]),
        high=number(bounds.high[0]),
        n=len(rows),
        **{status: _count(scores, status) for status in ("scored", "failed", "unscored")},
    )


def _without_copies(question: Question, metrics: Sequence[Metric], rows: Sequence[Row]) -> dict[str, Any]:
    """The summaries once more, less the copied examples; nothing where there are none."""
    kept = [row for row in rows if row.answer.example not in question.copied]
    if len(kept) == len(rows):
        return {}
    summaries = {metric.name: summarise(metric, kept).model_dump(mode="json") for metric in metrics} if kept else {}
    return {"without_copies": {"copies": len(rows) - len(kept), "summaries": summaries}}


def _count(scores: Sequence[Score], status: str) -> int:
    return sum(score.status == status for score in scores)


def number(value: float) -> float | None:
    """A float for JSON: nan and infinity are None."""
    return float(value) if np.isfinite(value) else None


def _resources(
    question: Question, lines: Sequence[dict[str, Any]], rows: Sequence[Row], memory: PeakMemory
) -> Resources:
    answers = [row.answer for row in rows]
    latencies = _latencies(question, answers) if question.split.name == "test" else []
    return Resources(
        latency_p50=number(np.percentile(latencies, 50)) if latencies else None,
        latency_p95=number(np.percentile(latencies, 95)) if latencies else None,
        latency_n=len(latencies),
        seconds=sum(line["spent"]["seconds"] for line in lines),
        cpu_seconds=sum(line["spent"]["cpu"] for line in lines),
        gpu_seconds=_gpu_seconds(question, lines),
        money=sum(answer.money for answer in answers),
        tokens_in=sum(answer.tokens_in for answer in answers),
        tokens_out=sum(answer.tokens_out for answer in answers),
        peak_memory_gib=memory.stretch_gib,
    )


def _gpu_seconds(question: Question, lines: Sequence[dict[str, Any]]) -> float:
    on_gpu = "cuda" in question.opened.model.ref.engine
    return sum(line["spent"]["seconds"] for line in lines) if on_gpu else 0.0


def _latencies(question: Question, answers: Sequence[Answer]) -> list[float]:
    """Seconds of single answers. A local model is asked anew, one question at a time, since a batch hides it; an endpoint
    has timed every request by itself; recorded answers took no time that we could know."""
    model = question.opened.model
    if model.ref.kind == "recorded":
        return []
    if model.capabilities.language_model and not model.capabilities.trainable:
        return [answer.seconds for answer in answers if answer.failure is None and answer.seconds > 0]
    found: list[float] = []
    for example in question.examples[:LATENCY_QUESTIONS]:
        if len(found) >= 5 and sum(found) >= LATENCY_SECONDS:
            break
        started = time.perf_counter()
        answer_many(question.opened, [example])
        found.append(time.perf_counter() - started)
    return found
