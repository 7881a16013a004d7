"""The decision: which rung is enough, from evaluations on the same test questions. It reads records and asks no model.

Compare mode: the cheapest candidate that keeps the constraints, meets the target, and whose simultaneous 95 % lower bound of
(candidate - every other candidate) exceeds -margin. Climb mode: the first candidate, cheapest rung first, whose one-sided lower
bound on test, at its share of alpha, reaches the target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rung.core.candidate import Candidate
from rung.core.evaluation import Evaluation, Metric, parts_matrix
from rung.core.hashing import seed_from
from rung.core.task import Task
from rung.experiment.costs import Demand, Priced, Prices, cost_per_1000, cost_record, demand_of
from rung.experiment.evaluate import number
from rung.experiment.wording import method_name, why, would_change
from rung.stats.bootstrap import DRAWS, Draws, resample
from rung.stats.intervals import Floats
from rung.stats.paired import PairwiseBounds, compare, lower_bounds, mcnemar
from rung.stats.power import examples_needed, paired_variance, smallest_gap
from rung.store.costs import Costs
from rung.store.records import Check, Decision, Interval, Outcome, Pair, Standing, Text

ALPHA = 0.05
RIGHT_OR_WRONG = {"accuracy", "exact_match"}
"""Metrics for which McNemar's test is meaningful."""
Verdict = Literal["winner", "tie", "unresolved", "target_not_met", "nothing_to_compare"]


@dataclass(frozen=True)
class Contender:
    """One candidate with what is known about it."""

    outcome: Outcome
    test: Evaluation
    dev: Evaluation | None = None
    candidate: Candidate | None = None
    """Its record; without it no upkeep or machine of its own is priced."""
    stability: float | None = None
    """Agreement of its answers when dev questions are asked otherwise; None where it was not measured."""
    attack_rate: float | None = None
    """Share of attacks with poisoned documents that steer its answers; None where it was not measured."""

    def demand(self, prices: Prices) -> Demand:
        return demand_of(prices, self.outcome.spent, self.test, self.candidate)


@dataclass(frozen=True)
class Protocol:
    """How the decision is made."""

    task: Task
    metric: Metric
    prices: Prices
    mode: Literal["compare", "climb"] = "compare"
    planned: int = 1
    """Rungs that may be opened on test: climb mode splits alpha over them."""
    min_stability: float | None = None
    max_attack_rate: float | None = None
    seed: int = 0


def decide(contenders: Sequence[Contender], protocol: Protocol) -> Decision:
    """The verdict over candidates evaluated on the same test split. Raises ValueError where the splits differ."""
    if not contenders:
        return _nothing(protocol)
    if len({contender.test.header.split_hash for contender in contenders}) > 1:
        raise ValueError("candidates were evaluated on different test splits")
    contenders = sorted(contenders, key=lambda c: (_cost(c, protocol.prices), c.outcome.cell.rank))
    own = _parts(contenders, protocol.metric)
    joint = _joint(own, contenders, protocol)
    drawn = _draw(joint, contenders, protocol)
    bounds = compare(drawn)
    alpha = ALPHA / max(len(contenders), protocol.planned if protocol.mode == "climb" else 1)
    # A target is held against all that a candidate answered: what others failed must not give it a second chance.
    same = np.array_equal(own, joint, equal_nan=True)
    floors = lower_bounds(drawn if same else _draw(own, contenders, protocol), alpha=alpha)
    standings = [_standing(contender, protocol, float(floors[i])) for i, contender in enumerate(contenders)]
    able = [i for i, standing in enumerate(standings) if standing.eligible]
    rivals = {i: [j for j in able if j != i] for i in range(len(standings))}
    margin = protocol.task.margin
    standings = [
        s.model_copy(update={"good_enough": s.eligible and all(bounds.lower[i, j] > -margin for j in rivals[i])})
        for i, s in enumerate(standings)
    ]
    winner, verdict = _choose(standings, protocol)
    ties = _ties(standings, bounds, winner, able)
    if protocol.mode == "compare" and verdict == "winner" and ties:
        verdict = "tie"
    decision = Decision(
        mode=protocol.mode,
        verdict=verdict,
        winner=standings[winner].candidate if winner is not None else None,
        ties=tuple(standings[i].candidate for i in ties),
        metric=protocol.metric.name,
        better=protocol.metric.better,
        target=protocol.task.target,
        margin=margin,
        draws=DRAWS,
        seed=protocol.seed,
        n=contenders[0].test.header.n,
        groups=int(np.nanmax(drawn.units)),
        currency=protocol.prices.currency,
        upkeep=protocol.prices.upkeep.priced,
        standings=tuple(standings),
        pairs=_pairs(contenders, standings, bounds, protocol),
        reason=Text(en="", zh=""),
    )
    decision = decision.model_copy(update=_power(contenders, standings, bounds, drawn, able, protocol))
    return decision.model_copy(update={"reason": why(decision), "would_change": would_change(decision)})


def _nothing(protocol: Protocol) -> Decision:
    decision = Decision(
        mode=protocol.mode,
        # Climbing opens test only for a rung that promises the target on dev.
        verdict="target_not_met" if protocol.mode == "climb" else "nothing_to_compare",
        winner=None,
        metric=protocol.metric.name,
        target=protocol.task.target,
        margin=protocol.task.margin,
        draws=0,
        seed=protocol.seed,
        n=0,
        groups=0,
        currency=protocol.prices.currency,
        standings=(),
        reason=Text(en="", zh=""),
    )
    return decision.model_copy(update={"reason": why(decision)})


def _cost(contender: Contender, prices: Prices) -> float:
    return cost_per_1000(prices, contender.demand(prices))


def price(contenders: Sequence[Contender], prices: Prices) -> Costs:
    """What every candidate costs a month, whatever the decision made of it."""
    several = len({c.outcome.cell.model for c in contenders} - {"-"}) > 1
    found = []
    for contender in contenders:
        cell, name = contender.outcome.cell, method_name(contender.outcome.cell.method)
        if cell.method == "recorded":
            name = Text(en=cell.model, zh=cell.model)
        elif several and cell.model != "-":
            name = Text(en=f"{name.en} ({cell.model})", zh=f"{name.zh}（{cell.model}）")
        found.append(Priced(contender.outcome.candidate, cell.method, cell.model, contender.demand(prices), name))
    return cost_record(found, prices)


def _parts(contenders: Sequence[Contender], metric: Metric) -> Floats:
    """[n, c, p]; nan where a candidate has no score for a question."""
    if metric.better == "lower":
        raise ValueError("metrics where lower is better cannot decide yet")
    return np.stack(
        [parts_matrix([row.scores[metric.name] for row in c.test.rows], metric.parts) for c in contenders], axis=1
    )


def _joint(parts: Floats, contenders: Sequence[Contender], protocol: Protocol) -> Floats:
    """The questions that every candidate without too many failures has a score for.

    A candidate must not look better for failing on hard questions, so a question that one of them failed is left out for all;
    those beyond the allowed share of failures cannot win, and take no questions from the others.
    """
    limit = protocol.task.constraints.max_failure_share
    sound = [j for j, contender in enumerate(contenders) if _failure_share(contender, protocol.metric) <= limit]
    out: NDArray[np.bool_] = np.asarray(np.isnan(parts[:, sound]).any(axis=(1, 2)))
    joint = parts.copy()
    joint[out[:, None] & np.isin(np.arange(joint.shape[1]), sound)] = np.nan
    return joint


def _draw(parts: Floats, contenders: Sequence[Contender], protocol: Protocol) -> Draws:
    """Paired resamples; the same ones whatever the parts."""
    rng = np.random.default_rng(seed_from(protocol.seed, "decision"))
    groups = [row.group for row in contenders[0].test.rows]
    return resample(parts, groups, protocol.metric.aggregate, rng)


def _failure_share(contender: Contender, metric: Metric) -> float:
    summary = contender.test.summaries[metric.name]
    return summary.failed / max(1, summary.n)


def _standing(contender: Contender, protocol: Protocol, floor: float) -> Standing:
    task, metric, prices = protocol.task, protocol.metric, protocol.prices
    summary = contender.test.summaries[metric.name]
    used, limits = contender.test.resources, task.constraints
    checks = [_check("max_failure_share", limits.max_failure_share, _failure_share(contender, metric))]
    if limits.max_latency_p95 is not None:
        checks.append(_check("max_latency_p95", limits.max_latency_p95, used.latency_p95))
    if limits.max_memory_gib is not None:
        checks.append(_check("max_memory_gib", limits.max_memory_gib, used.peak_memory_gib))
    if protocol.min_stability is not None:
        # The point estimate: like latency and memory, stability is a limit, and no evidence of which is better.
        least, stable = protocol.min_stability, contender.stability
        ok = stable is not None and stable >= least
        checks.append(Check(name="min_stability", limit=least, value=stable, ok=ok))
    if protocol.max_attack_rate is not None:
        checks.append(_check("max_attack_rate", protocol.max_attack_rate, contender.attack_rate))
    dev = contender.dev.summaries[metric.name].value if contender.dev else None
    meets = None if task.target is None else bool(floor >= task.target)
    return Standing(
        candidate=contender.outcome.candidate,
        method=contender.outcome.cell.method,
        model=contender.outcome.cell.model,
        quality=Interval(point=summary.value, low=summary.low, high=summary.high),
        dev=dev,
        scored=summary.scored,
        failed=summary.failed,
        unscored=summary.unscored,
        training_cost=prices.of(contender.outcome.spent),
        cost_per_1000=_cost(contender, prices),
        latency_p50=used.latency_p50,
        latency_p95=used.latency_p95,
        checks=tuple(checks),
        meets_target=meets,
        eligible=all(check.ok for check in checks),
        converged=bool(contender.outcome.notes.get("converged", True)),
    )


def _check(name: str, limit: float, value: float | None) -> Check:
    # What was not measured cannot be shown to keep a limit.
    return Check(name=name, limit=limit, value=value, ok=value is not None and value <= limit)


def _choose(standings: Sequence[Standing], protocol: Protocol) -> tuple[int | None, Verdict]:
    """Standings come cheapest first."""
    if protocol.mode == "climb":
        for i, standing in enumerate(standings):
            if standing.eligible and standing.meets_target:
                return i, "winner"
        return None, "target_not_met"
    if not any(standing.eligible for standing in standings):
        return None, "unresolved"
    target = protocol.task.target
    if target is not None and not any(s.eligible and s.meets_target for s in standings):
        return None, "target_not_met"
    for i, standing in enumerate(standings):
        if standing.good_enough and standing.meets_target is not False:
            return i, "winner"
    return None, "unresolved"


def _ties(standings: Sequence[Standing], bounds: PairwiseBounds, winner: int | None, able: Sequence[int]) -> list[int]:
    """Those the test cannot tell from the winner; without a winner, from the best."""
    if winner is None:
        if not able:
            return []
        winner = max(able, key=lambda i: standings[i].quality.point or -math.inf)
    return [j for j in able if j != winner and bounds.lower[winner, j] <= 0 <= bounds.upper[winner, j]]


def _pairs(
    contenders: Sequence[Contender], standings: Sequence[Standing], bounds: PairwiseBounds, protocol: Protocol
) -> tuple[Pair, ...]:
    name = protocol.metric.name
    scores = [[row.scores[name] for row in contender.test.rows] for contender in contenders]
    right = np.array([[score.value >= 1.0 for score in column] for column in scores], dtype=bool)
    scored = np.array([[score.status == "scored" for score in column] for column in scores], dtype=bool)
    grouped = any(row.group for row in contenders[0].test.rows)
    found = []
    for i, a in enumerate(standings):
        for j, b in enumerate(standings):
            if i == j or (b.quality.point or 0.0, -j) > (a.quality.point or 0.0, -i):
                continue
            p_value = None
            # McNemar takes questions as independent; with groups they are not.
            if name in RIGHT_OR_WRONG and not grouped:
                both = scored[i] & scored[j]
                p_value = number(mcnemar(right[i][both], right[j][both]).exact)
            interval = Interval(
                point=number(bounds.difference[i, j]), low=number(bounds.lower[i, j]), high=number(bounds.upper[i, j])
            )
            found.append(Pair(candidate=a.candidate, other=b.candidate, difference=interval, p_value=p_value))
    return tuple(found)


def _power(
    contenders: Sequence[Contender],
    standings: Sequence[Standing],
    bounds: PairwiseBounds,
    drawn: Draws,
    able: Sequence[int],
    protocol: Protocol,
) -> Mapping[str, float | int | None]:
    """How small a difference this test resolves between the two best, and how many questions would settle the margin."""
    ranked = sorted(able, key=lambda i: -(standings[i].quality.point or -math.inf))
    if len(ranked) < 2:
        return {}
    best, second = ranked[:2]
    units = float(bounds.units[best, second])
    variance = paired_variance(float(bounds.se[best, second]), units)
    gap = float(bounds.difference[best, second]) + protocol.task.margin
    per_unit = contenders[0].test.header.n / max(1.0, units)
    needed = examples_needed(gap, variance, critical=bounds.critical)
    return {
        "resolvable": number(smallest_gap(units, variance, critical=bounds.critical)),
        "examples_needed": math.ceil(needed * per_unit) if math.isfinite(needed) else None,
    }
