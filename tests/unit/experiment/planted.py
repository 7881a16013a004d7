"""Contenders with planted scores: what a decision is made from, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from rung.core.evaluation import Answer, Evaluation, EvaluationHeader, Resources, Row, Score, Summary
from rung.core.model import Failure
from rung.core.task import Constraints, OutputSpec, Task
from rung.experiment.decide import Contender, Prices, Protocol, decide
from rung.metrics.labels import Accuracy
from rung.stats.intervals import wilson
from rung.store.records import Cell, Decision, Outcome, Spend

Value = float | None | Literal["open"]
"""1 or 0; None: the candidate gave no answer; 'open': nobody knows the right answer."""
LADDER = ("baseline", "prompt", "few_shot", "rag", "fine_tune")


def shares(n: int, *counts: int) -> list[list[float]]:
    """Candidates that are right on the first `count` of n questions each, so that they differ only beyond those."""
    return [[float(i < count) for i in range(n)] for count in counts]


def evaluation(name: str, values: Sequence[Value], *, groups: Sequence[str] = (), **resources: Any) -> Evaluation:
    rows = []
    for i, value in enumerate(values):
        failure = Failure("timeout") if value is None else None
        score = Score("failed") if value is None else Score("unscored")
        if isinstance(value, int | float):
            score = Score("scored", float(value), {"correct": float(value)})
        rows.append(Row(Answer(f"e{i}", "", failure=failure), {"accuracy": score}, groups[i] if groups else ""))
    scored = [float(v) for v in values if isinstance(v, int | float)]
    failed = sum(v is None for v in values)
    interval = wilson(sum(scored), len(scored)) if scored else None
    summary = Summary(
        metric="accuracy",
        value=float(np.mean(scored)) if scored else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=len(rows),
        scored=len(scored),
        failed=failed,
        unscored=len(rows) - len(scored) - failed,
    )
    header = EvaluationHeader(
        candidate=name, method=name, model="m", split="test", split_hash="h", n=len(rows), metrics=("accuracy",)
    )
    return Evaluation(header, tuple(rows), {"accuracy": summary}, Resources(**resources))


def contender(
    name: str,
    values: Sequence[Value],
    cost: float = 0.0,
    *,
    rank: int = 0,
    groups: Sequence[str] = (),
    spent: Spend | None = None,
    notes: dict[str, Any] | None = None,
    **resources: Any,
) -> Contender:
    """`cost` is that of serving 1,000 answers, at a price of 1 for a CPU-second."""
    used = {"cpu_seconds": cost * len(values) / 1000} | resources
    cell = Cell(method=name, model="m", rank=rank)
    outcome = Outcome(cell=cell, status="done", candidate=name, spent=spent or Spend(), notes=notes or {})
    return Contender(outcome, evaluation(name, values, groups=groups, **used))


def ladder(*scores: Sequence[Value]) -> list[Contender]:
    """Contenders of rising cost, 1, 2, 3, ..., named after the rungs."""
    return [
        contender(name, values, float(n), rank=n)
        for n, (name, values) in enumerate(zip(LADDER, scores, strict=False), 1)
    ]


def task(*, margin: float = 0.05, target: float | None = None, failures: float = 0.02, **constraints: Any) -> Task:
    return Task(
        name="t",
        instruction="i",
        inputs=("q",),
        output=OutputSpec(kind="text"),
        metrics=("accuracy",),
        margin=margin,
        target=target,
        constraints=Constraints(max_failure_share=failures, **constraints),
    )


def decided(contenders: Sequence[Contender], asked: Task | None = None, **protocol: Any) -> Decision:
    """The decision, after a look at what every decision must keep."""
    asked = asked or task()
    protocol = {"prices": Prices(cpu_second=1.0)} | protocol
    found = decide(contenders, Protocol(task=asked, metric=Accuracy(task=asked), **protocol))
    check(found)
    return found


def check(decision: Decision) -> None:
    costs = [standing.cost_per_1000 for standing in decision.standings]
    assert costs == sorted(costs)
    for standing in decision.standings:
        assert standing.scored + standing.failed + standing.unscored == decision.n
    by_name = {standing.candidate: standing for standing in decision.standings}
    if decision.winner is not None:
        assert by_name[decision.winner].eligible
        assert decision.winner not in decision.ties
        assert decision.verdict in ("winner", "tie")
    assert set(decision.ties) <= set(by_name)
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    for text in (decision.reason, *decision.would_change):
        assert text.en
        assert any("\u4e00" <= char <= "\u9fff" for char in text.zh)
        assert not {"{", "}"} & set(text.en + text.zh)
