"""What is told of a run, as plain records that can wait in a file: settings, steps, test results, files."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from rung.core.evaluation import Evaluation
from rung.methods.watching import Moment
from rung.store.records import Cell, Outcome, Plan

Event = dict[str, Any]
"""{at, kind, series, ...}: kind is run, step, settings, result, end or file; series '' is the run itself, else one of its rungs."""


def event(kind: str, series: str = "", **fields: Any) -> Event:
    return {"at": round(time.time(), 3), "kind": kind, "series": series, **fields}


def run_event(plan: Plan, run: str) -> Event:
    facts = {"run": run, "mode": plan.mode, **{f"questions.{name}": n for name, n in plan.splits.items()}}
    return event("run", values=facts)


def step_event(cell: Cell, at: Moment) -> Event:
    """One step; each of several trainings of a rung is a series of its own."""
    series = f"{cell.name}/{at.part.name}" if at.part.name else cell.name
    values = {
        "train/loss": at.loss,
        "train/learning_rate": at.rate,
        "train/gradient_norm": at.norm,
        "speed/tokens_per_second": at.tokens_per_second,
        "dev/score": at.dev,
        "dev/loss": at.dev_loss,
        "memory/gib": at.memory_gib,
    }
    return event("step", series, step=at.step, values=_finite(values))


def outcome_events(outcome: Outcome, test: Evaluation | None) -> list[Event]:
    """How a rung was made and how it did: hyper-parameters, test metrics with the ends of their intervals, and its end."""
    series = outcome.cell.name
    training = outcome.notes.get("training") or {}
    settings = {**(training.get("settings") or {}), "method": outcome.cell.method, "model": outcome.cell.model}
    if training:
        settings["learning_rate"] = training.get("learning_rate")
    found = [event("settings", series, values={name: value for name, value in settings.items() if value is not None})]
    values: dict[str, float | None] = {"cost/seconds": outcome.spent.seconds, "cost/money": outcome.spent.money}
    for name, summary in test.summaries.items() if test else ():
        values |= {f"test/{name}": summary.value, f"test/{name}_low": summary.low, f"test/{name}_high": summary.high}
        values |= {f"test/{name}_failed": float(summary.failed)}
    found.append(event("result", series, values=_finite(values)))
    return [*found, event("end", series, status=outcome.status)]


def _finite(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
