"""The records of a feasibility study: what `rung assess` found, and what it advises."""

from __future__ import annotations

from typing import Literal

from rung.core.task import Frozen
from rung.store.costs import Costs
from rung.store.records import Text

Basis = Literal["data", "answer", "estimate", "rule", "blocker"]
"""Where a reason comes from: measured on the data, said by people, estimated, a rule of thumb, or a method's own refusal."""
Advice = Literal["first", "next", "later", "no"]


class Fact(Frozen):
    """One thing that the data show."""

    key: str
    value: float | None = None
    text: Text


class Reason(Frozen):
    """One sentence for or against."""

    basis: Basis
    text: Text


class Rung(Frozen):
    """One rung on one model: whether it can be tried, when, why, and what it would take."""

    method: str
    model: str
    name: Text
    advice: Advice
    reasons: tuple[Reason, ...]
    missing: tuple[Text, ...] = ()
    """What would make it possible, or the advice better."""
    seconds: float | None = None
    """Expected wall-clock seconds to make it."""
    once: float | None = None
    """Expected money to make it."""
    per_1000: float | None = None
    """Expected money for 1,000 answers, the making left out."""
    latency: float | None = None
    """Expected seconds for one answer."""


class Conflict(Frozen):
    """Where people and data, or two files, say different things; and what was gone by."""

    said: Text
    shown: Text
    used: Text


class Assessment(Frozen):
    """The whole study. Nothing in it is a verdict: no model has been asked about quality."""

    schema_version: int = 1
    task: str
    language: Literal["en", "zh"]
    metric: str
    currency: str
    facts: tuple[Fact, ...]
    answers: dict[str, str]
    """What people said, by question."""
    unknown: tuple[str, ...]
    conflicts: tuple[Conflict, ...] = ()
    rungs: tuple[Rung, ...]
    """Advised first ones first."""
    missing: tuple[Text, ...] = ()
    costs: Costs | None = None
    """An endpoint paid by the token beside a machine paid by the month."""
    plan: tuple[Text, ...]
    assumptions: tuple[Text, ...]
    summary: Text
