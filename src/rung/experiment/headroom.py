"""Probes before dear rungs: asked once, written down, and read back when a run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rung.core.errors import Problem
from rung.core.evaluation import Metric
from rung.core.method import Budget, Method
from rung.core.model import Model
from rung.core.task import FitData
from rung.experiment.decide import Contender
from rung.experiment.journal import FileJournal
from rung.methods.headroom import Headroom, Probing
from rung.methods.race import Spent
from rung.store.records import Cell, Outcome, Spend, Stated


def look_for_headroom(
    method: Method, fit: FitData, model: Model, budget: Budget, best: float | None
) -> Headroom | None:
    """What the method's probe sees; None for a method that has none, or nothing to look for.

    `best`: dev score of the best rung so far, higher is better.
    """
    if not isinstance(method, Probing):
        return None
    journal = budget.journal
    if isinstance(journal, FileJournal) and "headroom" in journal.notes:
        return Headroom(**journal.notes["headroom"])
    try:
        seen = method.probe(fit, model, budget, best)
    except Spent:
        seen = Headroom("unknown", "E4512", {"share": "100"})
    if seen is not None:
        journal.note("headroom", headroom_note(seen))
    return seen


def best_on_dev(metric: Metric, contenders: Sequence[Contender]) -> float | None:
    """Dev score of the best candidate so far, higher is better."""
    found = [contender.dev.summaries[metric.name].value for contender in contenders if contender.dev is not None]
    return max((value if metric.better == "higher" else -value for value in found if value is not None), default=None)


def no_headroom(cell: Cell, seen: Headroom, spent: Spend) -> Outcome:
    """The outcome of a rung that is skipped for what its probe saw."""
    stated = Stated(code=seen.code, values=dict(seen.values))
    reason = Problem(seen.code, values=dict(seen.values)).message()
    notes = {"headroom": headroom_note(seen)}
    return Outcome(cell=cell, status="skipped", reason=reason, problems=(stated,), spent=spent, notes=notes)


def headroom_note(seen: Headroom) -> dict[str, Any]:
    """As it stands in `notes.headroom` of an outcome: status, code and values."""
    return {"status": seen.status, "code": seen.code, "values": dict(seen.values)}
