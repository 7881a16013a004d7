"""What a candidate costs a month at a given volume: training spread out, serving and upkeep; and where two cost the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise

from rung.config.costs import CostConfig
from rung.core.candidate import Candidate
from rung.core.evaluation import Evaluation
from rung.experiment.sentences import Teller, join_names, money_text, teller
from rung.store.costs import BreakEven, CostLine, Costs, Monthly
from rung.store.records import Spend, Text

MONTH_SECONDS = 365.25 / 12 * 86400
LOAD = 0.5
"""Share of a month that a machine paid by the month is taken to be busy: people ask by day, and in bursts."""
MOST_VOLUME = 1e10
MOST_MACHINES = 100
_POINTS = 49
NO_MACHINE = frozenset({"linear", "extractive", "recorded"})
"""Kinds of model that need no machine of their own, or none that we know of."""


@dataclass(frozen=True)
class Upkeep:
    """What keeping a candidate right takes once it is in use. Periods in months; None: never done again."""

    hours: float = 0.0
    """A person's hours a month, whatever the candidate: reading answers, looking after feedback."""
    hour_price: float = 60.0
    retrain_months: float | None = None
    retrain_hours: float = 8.0
    """A person's hours for each retraining: new examples, a look at the result."""
    reindex_months: float | None = None
    reindex_hours: float = 2.0

    @property
    def priced(self) -> bool:
        return bool(self.hours * self.hour_price) or self.retrain_months is not None or self.reindex_months is not None


@dataclass(frozen=True)
class Prices:
    """What a second costs, the volume that training is spread over, and what upkeep takes."""

    currency: str = "USD"
    cpu_second: float = 0.0
    gpu_second: float = 0.0
    monthly_volume: int = 10_000
    months: float = 6.0
    machine_month: float = 0.0
    """A month of the machine that a model of one's own runs on; 0: it is paid by the second of use."""
    upkeep: Upkeep = Upkeep()

    def of(self, spend: Spend) -> float:
        return spend.cpu_seconds * self.cpu_second + spend.gpu_seconds * self.gpu_second + spend.money

    def serving_per_1000(self, evaluation: Evaluation) -> float:
        used = evaluation.resources
        spend = Spend(cpu_seconds=used.cpu_seconds, gpu_seconds=used.gpu_seconds, money=used.money)
        return 1000.0 * self.of(spend) / max(1, evaluation.header.n)


def prices_of(cost: CostConfig) -> Prices:
    """The `cost` block of task.yaml."""
    upkeep = Upkeep(
        hours=cost.upkeep_hours,
        hour_price=cost.hour_price,
        retrain_months=cost.retrain_months,
        retrain_hours=cost.retrain_hours,
        reindex_months=cost.reindex_months,
        reindex_hours=cost.reindex_hours,
    )
    return Prices(
        currency=cost.currency,
        cpu_second=cost.cpu_second_price,
        gpu_second=cost.gpu_second_price,
        monthly_volume=cost.monthly_volume,
        months=cost.months,
        machine_month=cost.machine_month_price,
        upkeep=upkeep,
    )


@dataclass(frozen=True)
class Demand:
    """What one candidate takes: the figures that its cost a month is made of.

    cost(volume) = training / months + retraining + reindexing + people
                 + volume * per_answer, or machine_month * machines(volume).
    """

    training: float = 0.0
    """One-off."""
    per_answer: float = 0.0
    retraining: float = 0.0
    """A month."""
    reindexing: float = 0.0
    people: float = 0.0
    months: float = 6.0
    machine_month: float = 0.0
    answers_per_machine: float = math.inf

    @property
    def fixed(self) -> float:
        return self.training / self.months + self.retraining + self.reindexing + self.people

    def machines(self, volume: float) -> int:
        if not self.machine_month:
            return 0
        return max(1, math.ceil(volume / self.answers_per_machine))

    def serving(self, volume: float) -> float:
        return volume * self.per_answer + self.machine_month * self.machines(volume)

    def cost(self, volume: float) -> float:
        """Money a month at `volume` answers a month."""
        return self.fixed + self.serving(volume)

    def monthly(self, volume: float) -> Monthly:
        return Monthly(
            training=self.training / self.months,
            serving=self.serving(volume),
            retraining=self.retraining,
            reindexing=self.reindexing,
            people=self.people,
        )


def demand_of(prices: Prices, spent: Spend, test: Evaluation, candidate: Candidate | None = None) -> Demand:
    """What a candidate takes, from what was measured. Without its record no machine, training or index is known of."""
    upkeep = prices.upkeep
    training = prices.of(spent)
    trained = candidate is not None and candidate.adapter is not None
    indexed = candidate is not None and candidate.retriever is not None
    retraining = reindexing = 0.0
    if trained and upkeep.retrain_months is not None:
        retraining = (training + upkeep.retrain_hours * upkeep.hour_price) / upkeep.retrain_months
    if indexed and upkeep.reindex_months is not None:
        # Machine time of indexing is part of no measurement, and next to nothing beside a person's hour.
        reindexing = upkeep.reindex_hours * upkeep.hour_price / upkeep.reindex_months
    per_answer = prices.serving_per_1000(test) / 1000.0
    machine = prices.machine_month if candidate is not None and runs_on_own_machine(candidate) else 0.0
    seconds = test.resources.seconds / max(1, test.header.n)
    return Demand(
        training=training,
        # A machine that is paid by the month is not paid by the second as well; fees stay.
        per_answer=test.resources.money / max(1, test.header.n) if machine else per_answer,
        retraining=retraining,
        reindexing=reindexing,
        people=upkeep.hours * upkeep.hour_price,
        months=prices.months,
        machine_month=machine,
        answers_per_machine=LOAD * MONTH_SECONDS / seconds if machine and seconds > 0 else math.inf,
    )


def runs_on_own_machine(candidate: Candidate) -> bool:
    """Whether it needs a machine that stands ready, which an endpoint or a linear head does not."""
    return candidate.model.kind not in NO_MACHINE and not candidate.model.options.get("base_url")


def cost_per_1000(prices: Prices, demand: Demand) -> float:
    """The one cost number: everything a month at the planned volume, over 1,000 answers."""
    return 1000.0 * demand.cost(prices.monthly_volume) / prices.monthly_volume


def crossings(one: Demand, other: Demand, *, most: float = MOST_VOLUME) -> tuple[float, ...]:
    """Volumes from 1 to `most`, or what MOST_MACHINES answer, at which the cheaper of two changes, rising.

    Machines come in whole numbers; between two steps both costs are straight lines, so each stretch is solved exactly.
    """
    steps: set[float] = {1.0}
    for demand in (one, other):
        if demand.machine_month and math.isfinite(demand.answers_per_machine):
            steps |= {n * demand.answers_per_machine for n in range(1, MOST_MACHINES + 1)}
            most = min(most, MOST_MACHINES * demand.answers_per_machine)
    steps.add(most)
    ends = sorted(step for step in steps if 1.0 <= step <= most)
    found: list[float] = []
    sign = _sign(one.cost(1.0) - other.cost(1.0))
    for low, high in pairwise(ends):
        # Just above `low` the machines are those of the whole stretch.
        inside = (low + high) / 2
        gap = _line(one, inside), _line(other, inside)
        rise = gap[0][1] - gap[1][1]
        base = gap[0][0] - gap[1][0]
        first = _sign(base + rise * low)
        if first and sign and first != sign:
            found.append(low)
        sign = first or sign
        zero = -base / rise if rise else math.nan
        last = _sign(base + rise * high)
        if low < zero < high and last and sign and last != sign:
            found.append(zero)
        sign = last or sign
    return tuple(found)


def _line(demand: Demand, inside: float) -> tuple[float, float]:
    """Offset and slope of the straight line that the cost follows around a volume."""
    return demand.fixed + demand.machine_month * demand.machines(inside), demand.per_answer


def _sign(value: float) -> int:
    return 0 if abs(value) < 1e-12 else 1 if value > 0 else -1


@dataclass(frozen=True)
class Priced:
    """A candidate with its demand and the names it goes by in a sentence."""

    candidate: str
    method: str
    model: str
    demand: Demand
    name: Text


def cost_record(found: Sequence[Priced], prices: Prices) -> Costs:
    """Every candidate's cost a month at the planned volume and around it, and the break-even volumes of every pair."""
    volume = float(prices.monthly_volume)
    found = sorted(found, key=lambda priced: priced.demand.cost(volume))
    pairs = [pair for one, other in combinations(found, 2) if (pair := _break_even(one, other)) is not None]
    steps = [p.demand.answers_per_machine for p in found if p.demand.machine_month]
    volumes = _volumes(volume, [v for pair in pairs for v in pair.volumes], steps)
    return Costs(
        currency=prices.currency,
        monthly_volume=prices.monthly_volume,
        upkeep=prices.upkeep.priced,
        prices=_listed(prices),
        volumes=volumes,
        lines=tuple(_cost_line(priced, prices, volumes) for priced in found),
        break_even=tuple(pairs),
        summary=_summary(found, pairs, prices),
    )


def _break_even(one: Priced, other: Priced) -> BreakEven | None:
    """None where both cost nothing, or the same at every volume."""
    volumes = crossings(one.demand, other.demand)
    gap = one.demand.cost(1.0) - other.demand.cost(1.0)
    if not volumes and not _sign(gap) and not _sign(one.demand.cost(MOST_VOLUME) - other.demand.cost(MOST_VOLUME)):
        return None
    if not _sign(gap):
        gap = one.demand.cost(MOST_VOLUME) - other.demand.cost(MOST_VOLUME)
    first, second = (one, other) if gap < 0 else (other, one)
    return BreakEven(cheaper=first.candidate, dearer=second.candidate, volumes=volumes)


def _volumes(planned: float, crossed: Sequence[float], machines: Sequence[float]) -> tuple[float, ...]:
    """Volumes around the planned one and every break-even within four powers of ten of it, evenly spaced on a log scale.

    Both sides of every step of a machine are among them, so that a curve drawn through them shows it.
    """
    near = [v for v in crossed if planned / 1e4 <= v <= planned * 1e4]
    low = max(1.0, min([planned / 100, *(v / 3 for v in near)]))
    high = max([planned * 100, *(v * 3 for v in near)])
    step = math.log(high / low) / (_POINTS - 1)
    grid = {low * math.exp(step * i) for i in range(_POINTS)}
    steps = {n * size for size in machines if math.isfinite(size) for n in range(1, MOST_MACHINES) if n * size < high}
    return tuple(sorted(grid | {planned} | steps | {end * (1 + 1e-9) for end in steps}))


def _cost_line(priced: Priced, prices: Prices, volumes: Sequence[float]) -> CostLine:
    demand, volume = priced.demand, prices.monthly_volume
    known = math.isfinite(demand.answers_per_machine) and demand.machine_month > 0
    return CostLine(
        candidate=priced.candidate,
        method=priced.method,
        model=priced.model,
        monthly=demand.monthly(volume),
        per_1000=cost_per_1000(prices, demand),
        fixed=demand.fixed,
        per_answer=demand.per_answer,
        machines=demand.machines(volume),
        answers_per_machine=demand.answers_per_machine if known else None,
        curve=tuple(demand.cost(v) for v in volumes),
    )


def _listed(prices: Prices) -> dict[str, float]:
    """Prices under their names in task.yaml; what is never done is left out."""
    named = {
        "cpu_second_price": prices.cpu_second,
        "gpu_second_price": prices.gpu_second,
        "machine_month_price": prices.machine_month,
        "machine_load": LOAD,
        "months": prices.months,
        **{("upkeep_hours" if k == "hours" else k): v for k, v in asdict(prices.upkeep).items()},
    }
    return {name: float(value) for name, value in named.items() if value is not None}


def _summary(found: Sequence[Priced], pairs: Sequence[BreakEven], prices: Prices) -> Text:
    """One sentence: the cheapest at the planned volume, and the nearest volume at which that changes."""
    if not found:
        return Text(en="", zh="")
    volume = prices.monthly_volume
    cheapest = found[0]
    even = [priced for priced in found if _sign(priced.demand.cost(volume) - cheapest.demand.cost(volume)) == 0]
    if len(even) == len(found) > 1:
        return teller("cost_all_same")(n=f"{volume:,}")
    names = {priced.candidate: priced.name for priced in found}
    parts = [
        teller("cost_cheapest" if len(found) > 1 else "cost_one")(
            name=cheapest.name,
            n=f"{volume:,}",
            money=money_text(cheapest.demand.cost(volume)),
            currency=prices.currency,
        )
    ]
    change = _next_change(cheapest.candidate, pairs, volume)
    if change is not None:
        said: Teller = teller("cost_changes_above" if change.volume > volume else "cost_changes_below")
        parts.append(said(n=f"{_rounded(change.volume):,}", name=names[change.other]))
    elif len(found) > 1:
        parts.append(teller("cost_never_changes")())
    if prices.upkeep.priced:
        parts.append(teller("cost_with_upkeep")())
    return join_names(parts, sentence=True)


@dataclass(frozen=True)
class _Change:
    volume: float
    other: str


def _next_change(cheapest: str, pairs: Sequence[BreakEven], volume: float) -> _Change | None:
    """The nearest volume, by ratio, at which another candidate becomes as cheap as the cheapest."""
    found = [
        _Change(v, pair.dearer if pair.cheaper == cheapest else pair.cheaper)
        for pair in pairs
        if cheapest in {pair.cheaper, pair.dearer}
        for v in pair.volumes
    ]
    distance: Callable[[_Change], float] = lambda change: abs(math.log(change.volume / volume))  # noqa: E731
    return min(found, key=distance, default=None)


def _rounded(volume: float) -> int:
    """Two significant digits: a break-even volume is no sharper than the prices it comes from."""
    if volume < 100:
        return max(1, round(volume))
    digits = math.floor(math.log10(volume)) - 1
    return int(round(volume / 10**digits) * 10**digits)
