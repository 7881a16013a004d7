"""Batches of like length, in an order that a seed and an epoch fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.core.hashing import seed_from

SORT_SPAN = 16
"""Batches within which rows are sorted by length: little padding, still nearly random order."""
LENGTH_STEP = 8
"""Lengths are rounded up to this: fewer shapes for the allocator to keep memory for, at little padding."""


@dataclass(frozen=True)
class TokenRow:
    """Prompt and target token ids of one row; the target ends with the end token."""

    prompt: list[int]
    target: list[int]

    @property
    def length(self) -> int:
        return len(self.prompt) + len(self.target)


def epoch_batches(lengths: Sequence[int], size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Row numbers of every batch of one epoch: shuffled, sorted by length in spans, spans' batches shuffled again."""
    rng = np.random.default_rng(seed_from(seed, "epoch", epoch))
    order = rng.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), size * SORT_SPAN):
        span = sorted(order[start : start + size * SORT_SPAN].tolist(), key=lambda i: lengths[i])
        batches += [span[i : i + size] for i in range(0, len(span), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def padded(length: int) -> int:
    return -(-length // LENGTH_STEP) * LENGTH_STEP
