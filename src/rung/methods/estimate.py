"""What answering and training will take, from one timed question: an estimate to plan by, not a promise."""

from __future__ import annotations

import time
from dataclasses import fields

from rung.core.answer import Opened, prepare
from rung.core.method import Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.slots import new_candidate, prompt_slot
from rung.training.batches import TokenRow
from rung.training.memory import MemoryPlan, plan_memory
from rung.training.row_tokens import RowTokens, Scoring
from rung.training.settings import TrainSettings
from rung.training.work import Kind

_REMOTE_SECONDS = 1.0
_TIMED: dict[tuple[str, str], float] = {}
_ROWS = 32
"""Rows that stand for all of them where memory is planned."""
DEV_ROWS = 32
"""Dev questions that a training scores at a time."""
TRAINING_FACTOR = 3.0
"""Forward and backward take about three forwards' work."""


def seconds_per_question(fit: FitData, model: Model) -> float:
    """Measured once per model and task in this process; a remote model is not called, since a call costs money."""
    if not model.capabilities.trainable or not fit.train:
        return _REMOTE_SECONDS
    key = (model.ref.id, fit.task.hash)
    if key not in _TIMED:
        opened = Opened(new_candidate(fit, model, "prompt", prompt_slot(fit.task)), model)
        requests = prepare(opened, fit.train[:4])
        model.generate(requests[:1])
        started = time.perf_counter()
        model.generate(requests)
        _TIMED[key] = (time.perf_counter() - started) / len(requests)
    return _TIMED[key]


def answering_cost(fit: FitData, model: Model, *, questions: int, longer: float = 1.0) -> Cost:
    """Cost of answering; `longer` is how many times longer the prompts are than the bare question's."""
    seconds = seconds_per_question(fit, model) * questions * longer
    local = model.capabilities.trainable
    return Cost(seconds=seconds, cpu_seconds=seconds * 2 if local else 0.0, memory_gib=1.5 if local else 0.2)


def training_cost(
    fit: FitData,
    model: Model,
    *,
    epochs: float,
    longer: float = 1.0,
    rows_longer: float = 1.0,
    settings: TrainSettings | None = None,
    kind: Kind = "targets",
) -> Cost:
    """`longer`: how many times the work of the bare questions it is; `rows_longer`: how many times as long a row is.

    `settings`: what the fit's hints say when absent. `kind`: what is learned, as a job names it.
    """
    seconds = seconds_per_question(fit, model) * len(fit.train) * epochs * TRAINING_FACTOR * longer
    plan = training_memory(fit, model, settings or _hinted(fit), rows_longer=rows_longer, kind=kind)
    gib = float(1 << 30)
    memory, disk = (3.0, 0.0) if plan is None else (plan.peak / gib, plan.disk / gib)
    return Cost(seconds=seconds, cpu_seconds=seconds * 2, memory_gib=memory, disk_gib=disk)


def training_memory(
    fit: FitData, model: Model, settings: TrainSettings, *, rows_longer: float = 1.0, kind: Kind = "targets"
) -> MemoryPlan | None:
    """What a training will take at its peak, planned by some of the rows; None for a model that does not tell its sizes."""
    sizes, encode = model.capabilities.sizes, getattr(model, "encode", None)
    taken = [example for example in fit.train if example.references][:_ROWS]
    if sizes is None or encode is None or not taken:
        return None
    opened = Opened(new_candidate(fit, model, "fine_tune", prompt_slot(fit.task, layout="compact")), model)
    requests = prepare(opened, taken)
    found = RowTokens.of(
        [TokenRow(*encode(r, e.references[0])) for r, e in zip(requests, taken, strict=True)]
    ).stretched(rows_longer)
    labels = [len(encode(requests[0], label)[1]) for label in fit.task.output.labels]
    written, tree = 0 if labels else requests[0].max_tokens, sum(labels)
    dev = Scoring(DEV_ROWS, found.mean - found.target, written, tree)
    if kind == "preference":
        found = found.compared(settings)
    elif kind == "reinforce":
        found = found.rewarded(settings, written or max(labels), tree)
    return plan_memory(sizes, settings, found, dev if fit.dev else None)


def _hinted(fit: FitData) -> TrainSettings:
    names = {field.name for field in fields(TrainSettings)}
    return TrainSettings(**{name: value for name, value in fit.hints.items() if name in names})
