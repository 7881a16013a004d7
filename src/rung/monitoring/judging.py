"""From many tests to alarms: all tests of one look share one level, and what rings is sure and large enough to matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rung.stats.multiple import holm
from rung.store.watch import Alarm, Effect, Measure, Reference, Status, Unit

LEAST = 30
"""Observations on either side below which nothing is tested."""


@dataclass
class Watched:
    """One measure on its way: what it says of itself, and the causes that it may name."""

    name: str
    n_before: int
    n_now: int
    unit: Unit = "share"
    before: float | None = None
    now: float | None = None
    effect: float | None = None
    effect_name: Effect = ""
    why: str = ""
    reference: Reference = "proof"
    causes: list[Cause] = field(default_factory=list)

    @property
    def enough(self) -> bool:
        return min(self.n_before, self.n_now) >= LEAST


@dataclass(frozen=True)
class Cause:
    """One hypothesis: what it would be called, its p value, and how large it is."""

    name: str
    p: float
    size: float
    """How many times the smallest change that matters."""
    about: str = ""
    unit: Unit = "share"
    before: float | None = None
    now: float | None = None
    low: float | None = None
    high: float | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    alarms: tuple[Alarm, ...]
    measures: tuple[Measure, ...]
    tests: int


def judge(watched: Sequence[Watched], alpha: float) -> Verdict:
    """Holm's correction over all causes of all measures; a cause rings when it is sure and large."""
    tested = [(measure, cause) for measure in watched for cause in measure.causes if not math.isnan(cause.p)]
    adjusted = holm(np.array([cause.p for _, cause in tested], dtype=np.float64)).tolist()
    ringing = [
        (measure, cause, p)
        for (measure, cause), p in zip(tested, adjusted, strict=True)
        if p <= alpha and cause.size >= 1
    ]
    smallest: dict[str, float] = {}
    for (measure, _), p in zip(tested, adjusted, strict=True):
        smallest[measure.name] = min(p, smallest.get(measure.name, 1.0))
    names = {measure.name for measure, _, _ in ringing}
    alarms = [_alarm(measure, cause, p) for measure, cause, p in sorted(ringing, key=lambda found: found[2])]
    measures = [_measure(each, smallest.get(each.name), each.name in names, alpha) for each in watched]
    return Verdict(tuple(alarms), tuple(measures), len(tested))


def _alarm(measure: Watched, cause: Cause, p: float) -> Alarm:
    return Alarm(
        cause=cause.name,
        about=cause.about,
        unit=cause.unit,
        before=_known(cause.before),
        now=_known(cause.now),
        low=_known(cause.low),
        high=_known(cause.high),
        p=p,
        n_before=measure.n_before,
        n_now=measure.n_now,
        examples=cause.examples,
    )


def _measure(measure: Watched, p: float | None, rings: bool, alpha: float) -> Measure:
    named = [cause.size for cause in measure.causes if cause.name and not math.isnan(cause.p)]
    return Measure(
        name=measure.name,
        status=_status(measure, p, rings, alpha),
        why=measure.why,
        unit=measure.unit,
        before=_known(measure.before),
        now=_known(measure.now),
        effect=_known(measure.effect),
        effect_name=measure.effect_name,
        size=_known(max(named, default=None)),
        p=p,
        tests=sum(not math.isnan(cause.p) for cause in measure.causes),
        n_before=measure.n_before,
        n_now=measure.n_now,
        reference=measure.reference,
    )


def _status(measure: Watched, p: float | None, rings: bool, alpha: float) -> Status:
    if measure.why:
        return "not_measured"
    if not measure.enough:
        return "too_little"
    if rings:
        return "alarm"
    return "slight" if p is not None and p <= alpha else "steady"


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
