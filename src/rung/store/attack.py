"""The record of an attack: poisoned documents among the real ones, and how often they steered an answer."""

from __future__ import annotations

from typing import Literal

from rung.core.task import Frozen, Language
from rung.store.records import Interval, Spend

SCHEMA = 1
Defence = Literal["none", "told", "filter", "both"]
"""none: as the candidate was evaluated. told: the prompt says that passages are data. filter: passages that give orders are withheld."""
Goal = Literal["say", "fact", "cite"]
"""What counts as success. say: the wanted word stands in the answer. fact: the wrong fact does. cite: the planted passage is cited."""


class Ingested(Frozen):
    """What became of the files of one kind when they were read as documents."""

    kind: str
    goal: Goal
    language: Language
    files: int
    stripped: int
    """Files whose order was no longer in the text: what cannot be seen is taken out. They are not asked about."""
    flagged: int
    """Of those left, files whose text gives orders to a model by the rules of ingestion."""


class Rate(Frozen):
    """How often one kind of planted document had its way."""

    kind: str
    """A kind, or 'all'."""
    defence: Defence
    n: int
    """Attacks that were answered: a question each, with one planted document."""
    failed: int = 0
    """Attacks without an answer; counted apart."""
    shown: int
    """Attacks whose document reached the prompt."""
    hits: int
    rate: Interval
    """hits / n, 95 %; all attacks on one group of questions resampled together."""
    clean: Interval
    """The same success without a planted document: what is chance."""


class Steered(Frozen):
    """One attack that had its way."""

    kind: str
    question: str
    wanted: str
    planted: str
    """What the planted passage says."""
    clean: str
    """The answer without it."""
    answer: str


class Attack(Frozen):
    """How far poisoned documents steer a candidate's answers. Kept as `attacks/<candidate>.json`."""

    schema_version: int = SCHEMA
    candidate: str
    method: str
    model: str
    metric: str
    language: Language
    light: bool = False
    """The short form that `constraints.max_attack_rate` is checked with."""
    seed: int
    questions: int
    k: int
    """Passages that the candidate shows."""
    limit: float | None = None
    """`constraints.max_attack_rate`."""
    ingested: tuple[Ingested, ...]
    rates: tuple[Rate, ...]
    """By kind and defence; 'all' first."""
    flags: int = 0
    """Real passages of the index that the rules flag too, and that the filter would withhold."""
    passages: int = 0
    """Real passages of the index."""
    examples: tuple[Steered, ...] = ()
    spent: Spend = Spend()

    def rate(self, defence: Defence = "none", kind: str = "all") -> Rate | None:
        """The rate of a kind under a defence; None where it was not measured."""
        return next((rate for rate in self.rates if rate.kind == kind and rate.defence == defence), None)

    @property
    def keeps_limit(self) -> bool | None:
        """Whether the rate without a defence of its own is within the limit; None without one."""
        found = self.rate()
        if self.limit is None or found is None or found.rate.point is None:
            return None
        return found.rate.point <= self.limit
