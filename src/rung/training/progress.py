"""Where a training stands, and what came of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """Where a training stands; saved with every checkpoint."""

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    best_loss: float = math.inf
    """Mean dev loss of the best step, which settles ties: a small dev sample soon answers all it can."""
    best_step: int = 0
    stale: int = 0
    evaluated: int = 0
    tokens: int = 0
    """Real tokens that have gone through the model, padding not counted."""
    scored_at: int = 0
    """Tokens seen when dev was last scored."""
    micro_tokens: int = 0
    """What `settings.micro_tokens` has become where memory ran out; 0 as long as it has not."""
    curve: list[dict[str, Any]] = field(default_factory=list)
    """{step, loss, seconds, tokens, rate, norm}, and where dev was scored {dev, dev_loss}."""
    notes: list[dict[str, Any]] = field(default_factory=list)
    """What a reader should know: {kind: 'memory', step, micro_tokens}, ..."""


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training, written as `result.json`."""

    converged: bool
    stopped: str
    """epochs | early | budget | interrupted"""
    step: int
    planned_steps: int
    best_step: int
    best: float
    """The dev metric of the weights that were kept."""
    seconds: float
    tokens_per_second: float
    curve: list[dict[str, Any]]
    notes: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """Further plain values for the report: peak memory, skipped rows, ..."""
