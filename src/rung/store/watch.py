"""The record of a look at the traffic: what was measured against the proof, what rang, and the days behind it."""

from __future__ import annotations

from typing import Literal

from rung.core.task import Frozen, Language

Unit = Literal["share", "chars", "seconds", "money", "tokens", "score", "documents", "bits"]
Effect = Literal["", "psi", "js"]
Reference = Literal["proof", "before"]
Status = Literal["alarm", "slight", "steady", "too_little", "not_measured"]


class Alarm(Frozen):
    """One cause, with the numbers that show it."""

    cause: str
    """Such as `input_longer` or `label_up`; said and explained by `reporting.watch`."""
    about: str = ""
    """The label, language or kind of failure."""
    unit: Unit = "share"
    before: float | None = None
    """A share, or a median."""
    now: float | None = None
    low: float | None = None
    """Ends of the 95 % interval of the difference of two shares."""
    high: float | None = None
    p: float | None = None
    """After Holm's correction over everything that was tested; None for what is a plain fact."""
    n_before: int = 0
    n_now: int = 0
    examples: tuple[str, ...] = ()
    """Ids of traces that show it."""


class Measure(Frozen):
    """One thing that is watched."""

    name: str
    status: Status
    why: str = ""
    """Where it is not measured: the name of the reason."""
    unit: Unit = "share"
    before: float | None = None
    now: float | None = None
    effect: float | None = None
    effect_name: Effect = ""
    """psi: population stability index; js: Jensen-Shannon divergence, in bits."""
    size: float | None = None
    """How many times the smallest change that rings, where it is sure: below 1 nothing rings."""
    p: float | None = None
    """The smallest of its tests, after correction."""
    tests: int = 0
    n_before: int = 0
    n_now: int = 0
    reference: Reference = "proof"
    """proof: the test questions. before: the traffic before this time."""


class Day(Frozen):
    """One day of traffic, UTC."""

    day: str
    answers: int = 0
    failures: int = 0
    cancelled: int = 0
    latency_p50: float | None = None
    latency_p95: float | None = None
    tokens: int = 0
    money: float = 0.0
    up: int = 0
    down: int = 0


class Watch(Frozen):
    """A look at the traffic of one candidate over some time."""

    schema_version: int = 1
    run: str
    candidate: str
    since: str
    until: str
    """UTC, ISO 8601."""
    answers: int
    """Traces looked at: of the champion, those that were cancelled left out."""
    cancelled: int = 0
    others: int = 0
    """Traces of that time by other candidates or in other roles."""
    proved_on: int
    """Test questions behind the comparison."""
    alpha: float
    """How often one look rings for nothing, at most."""
    least: int
    """Observations below which nothing is said."""
    tests: int
    latency_p95: float | None = None
    """At proof, one question at a time."""
    texts: bool = True
    currency: str = "USD"
    language: Language = "en"
    alarms: tuple[Alarm, ...] = ()
    measures: tuple[Measure, ...] = ()
    days: tuple[Day, ...] = ()
