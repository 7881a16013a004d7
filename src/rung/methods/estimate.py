"""What answering and training will take, from one timed question: an estimate to plan by, not a promise."""

from __future__ import annotations

import time

from rung.core.answer import Opened, prepare
from rung.core.method import Cost
from rung.core.model import Model
from rung.core.task import FitData
from rung.methods.slots import new_candidate, prompt_slot

_REMOTE_SECONDS = 1.0
_TIMED: dict[tuple[str, str], float] = {}
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


def training_cost(fit: FitData, model: Model, *, epochs: float, longer: float = 1.0) -> Cost:
    seconds = seconds_per_question(fit, model) * len(fit.train) * epochs * TRAINING_FACTOR * longer
    return Cost(seconds=seconds, cpu_seconds=seconds * 2, memory_gib=3.0)
