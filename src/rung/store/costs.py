"""The records of what candidates cost a month, as they lie in `costs.json`: the report and the guides read them."""

from __future__ import annotations

from rung.core.task import Frozen
from rung.store.records import Text


class Monthly(Frozen):
    """What one candidate costs a month at one volume, by where the money goes; in the currency of task.yaml."""

    training: float = 0.0
    """The training cost, spread over `cost.months`."""
    serving: float = 0.0
    """Answering: fees, computing time, or the price of the machines."""
    retraining: float = 0.0
    reindexing: float = 0.0
    people: float = 0.0
    """A person's hours that every candidate takes."""

    @property
    def total(self) -> float:
        return self.training + self.serving + self.retraining + self.reindexing + self.people


class CostLine(Frozen):
    """One candidate."""

    candidate: str
    method: str
    model: str
    monthly: Monthly
    """At the planned volume."""
    per_1000: float
    """`monthly` over 1,000 answers: the number that the decision reads."""
    fixed: float
    """A month, whatever the volume; the machines are left out."""
    per_answer: float
    machines: int = 0
    """Machines that the planned volume needs, where they are paid by the month; 0: paid by use."""
    answers_per_machine: float | None = None
    """What one such machine answers in a month."""
    curve: tuple[float, ...]
    """Cost a month at each of `Costs.volumes`."""


class BreakEven(Frozen):
    """Where two candidates cost the same. `cheaper` and `dearer` are as they stand at one answer a month."""

    cheaper: str
    dearer: str
    volumes: tuple[float, ...] = ()
    """Answers a month from which the cheaper one changes, smallest first; none: `cheaper` stays so."""


class Costs(Frozen):
    """What every candidate of a run costs a month, and from which volume another one is the cheaper."""

    schema_version: int = 1
    currency: str
    monthly_volume: int
    upkeep: bool
    """Whether upkeep is priced: then it is part of the number that the decision reads."""
    prices: dict[str, float]
    """Every price and period that went in, by its name in task.yaml."""
    volumes: tuple[float, ...]
    """Answers a month at which the curves are drawn, rising."""
    lines: tuple[CostLine, ...]
    """Cheapest at the planned volume first."""
    break_even: tuple[BreakEven, ...] = ()
    summary: Text
