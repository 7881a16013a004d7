"""What one step did over all rows: counts, and a few rows before and after, drawn evenly over the set."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rung.core.hashing import seed_from
from rung.data.privacy.redact import redact
from rung.data.record import Where
from rung.data.versions.version import Sample, Step
from rung.text.common_ends import common_ends

SAMPLES = 5
_AROUND = 40
_LONGEST = 200


@dataclass
class Tally:
    """Filled while a step runs; `step` is what stays of it."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    touched: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    _seen: int = 0

    def __post_init__(self) -> None:
        self._draw = np.random.default_rng(seed_from("clean", self.name))

    def sample(self, id: str, where: Where, before: str, after: str) -> None:
        """Keep the change, or not: each has the same chance (Vitter 1985, algorithm R). Personal data is starred out."""
        self._seen += 1
        slot = len(self.samples) if len(self.samples) < SAMPLES else int(self._draw.integers(self._seen))
        if slot < SAMPLES:
            # The whole texts first: a cut would halve numbers, and half a number is not known for one.
            shown = excerpts(redact(before), redact(after))
            self.samples[slot : slot + 1] = [Sample(id=id, where=path_of(where), **shown)]

    def step(self, before: int, after: int) -> Step:
        return Step(
            name=f"clean.{self.name}",
            arguments=self.arguments,
            rows_before=before,
            rows_after=after,
            touched=self.touched,
            counts=dict(self.counts.most_common()),
            samples=tuple(self.samples),
        )


def path_of(where: Where) -> str:
    """('messages', 2, 'content') as 'messages.2.content'."""
    return ".".join(map(str, where))


def excerpts(before: str, after: str) -> dict[str, str]:
    """Both texts cut to what lies around the first change: {'before': ..., 'after': ...}; dropped text has no after."""
    if not after:
        return {"before": _cut(before, 0, _LONGEST), "after": ""}
    start, end = common_ends(before, after)
    first = max(0, start - _AROUND)
    return {
        "before": _cut(before, first, min(first + _LONGEST, len(before) - end + _AROUND)),
        "after": _cut(after, first, min(first + _LONGEST, len(after) - end + _AROUND)),
    }


def _cut(text: str, start: int, end: int) -> str:
    piece = re.sub("[\ud800-\udfff]", "\ufffd", text[start:end])
    return ("…" if start else "") + piece + ("…" if end < len(text) else "")
