"""How often intervals hold what they promise, and how often the decision names a candidate that does not deserve it.

Shares: exact, by summing the binomial over all outcomes, averaged (Wilson) or at worst (Clopper-Pearson) over accuracies.
Paired differences: the bounds of `compare`, over pairs of accuracies and three degrees to which two candidates fail on the same
questions; exact over all outcomes up to 100 questions, drawn beyond. Decisions, every rung exactly at the boundary and each
with the best of several settings on dev: `decide` itself on drawn tests; for climbing, where rungs that fail independently
are the worst case and each is judged by its own count, also exactly, with the bound that `decide` uses
(`false_promotion_climb`; `climb_drawn` and `climb_exact_there` are both ways on the same four designs). Groups: one candidate exactly
at its target, questions of one group alike (`grouped_mean`, `grouped_worst` over designs).
"""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

import numpy as np
from harness import finish, say
from scipy import special, stats

from rung.core.evaluation import Answer, Evaluation, EvaluationHeader, Resources, Row, Score, Summary
from rung.core.task import OutputSpec, Task
from rung.experiment import decide as decision
from rung.experiment.costs import Prices
from rung.metrics.labels import Accuracy
from rung.stats.bootstrap import Draws, resample
from rung.stats.intervals import clopper_pearson, wilson
from rung.stats.paired import compare
from rung.store.records import Cell, Outcome

SIZES = (30, 50, 100, 200, 300, 500, 1000)
ACCURACIES = np.round(np.arange(0.05, 0.981, 0.01), 2)
PAIRED_ACCURACIES = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98)
OWN_ERRORS = (0.1, 0.3, 1.0)
"""Share of questions on which two candidates are right or wrong independently; on the others, one is hard for both or easy."""
DENSE = 20
"""Expected discordant pairs from which on intervals must be neither too narrow nor too wide."""
EXACT_UP_TO = 100
PAIRED_TESTS = 100
DRAWS = 2_500
"""Resamples of drawn tests, a quarter of the decision's: the standard error's own noise of 1.4 % moves coverage by nothing."""
DECISIONS = 2_000
SETTINGS, DEV = 8, 150
"""Settings that a rung tries on dev, and dev questions."""
TARGETS = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
RUNGS = (1, 2, 4, 6)


def share_coverage() -> dict[str, float]:
    means, worst = [], 1.0
    for n in SIZES:
        right = np.arange(n + 1)
        chance = stats.binom.pmf(right[None, :], n, ACCURACIES[:, None])
        held = {}
        for name, interval in (("wilson", wilson), ("exact", clopper_pearson)):
            found = [interval(float(k), float(n)) for k in right]
            low, high = np.array([f.low for f in found]), np.array([f.high for f in found])
            inside = (low[None, :] <= ACCURACIES[:, None]) & (ACCURACIES[:, None] <= high[None, :])
            held[name] = (chance * inside).sum(axis=1)
        means.append(float(held["wilson"].mean()))
        worst = min(worst, float(held["exact"].min()))
        say(f"shares, n = {n}: Wilson {means[-1]:.4f} on average, Clopper-Pearson at least {held['exact'].min():.4f}")
    return {"wilson_min": min(means), "wilson_max": max(means), "exact_min": worst}


@dataclass(frozen=True)
class Design:
    """Two candidates: probability that only the first, and only the second, is right."""

    wins: float
    losses: float


def designs() -> Iterator[Design]:
    for (low, high), own in itertools.product(
        itertools.combinations_with_replacement(PAIRED_ACCURACIES, 2), OWN_ERRORS
    ):
        both = (1 - own) * low + own * low * high
        yield Design(high - both, low - both)


@functools.cache
def paired_interval(n: int, wins: int, losses: int) -> tuple[float, float]:
    """As the decision has it; resamples of right and wrong answers are counts of the three kinds of question."""
    rng = np.random.default_rng([n, wins, losses])
    kinds = np.array([wins, losses, n - wins - losses]) / n
    draws = rng.multinomial(n, kinds, size=DRAWS)[:, :2] / n
    found = compare(Draws(kinds[:2], draws, np.full(2, float(n))))
    return float(found.lower[0, 1]), float(found.upper[0, 1])


def paired_coverage() -> dict[str, float]:
    rng = np.random.default_rng(20)
    dense, sparse = [], []
    for n in SIZES:
        held: dict[bool, list[float]] = {True: [], False: []}
        for design in designs():
            expected = n * (design.wins + design.losses)
            if expected >= 1:
                held[expected >= DENSE].append(_held(design, n, rng))
        paired_interval.cache_clear()
        dense.append(float(np.mean(held[True])))
        say(f"paired, n = {n}: {dense[-1]:.4f} over {len(held[True])} designs, at least {min(held[True]):.3f}")
        if held[False]:
            sparse.append(float(np.mean(held[False])))
            say(f"    sparse: {sparse[-1]:.4f} over {len(held[False])} designs, at least {min(held[False]):.3f}")
    return {"paired_min": min(dense), "paired_max": max(dense), "paired_sparse_min": min(sparse)}


def _held(design: Design, n: int, rng: np.random.Generator) -> float:
    kinds = np.array([design.wins, design.losses, 1 - design.wins - design.losses])
    if n <= EXACT_UP_TO:
        seen = np.array([(w, v, n - w - v) for w in range(n + 1) for v in range(n + 1 - w)])
        weight = np.exp(
            special.gammaln(n + 1) - special.gammaln(seen + 1).sum(axis=1) + special.xlogy(seen, kinds).sum(axis=1)
        )
        seen, weight = seen[weight > 1e-7], weight[weight > 1e-7]
    else:
        seen = rng.multinomial(n, kinds, size=PAIRED_TESTS)
        weight = np.full(PAIRED_TESTS, 1 / PAIRED_TESTS)
    truth = design.wins - design.losses
    ends = np.array([paired_interval(n, int(w), int(v)) for w, v, _ in seen])
    inside = (ends[:, 0] <= truth + 1e-12) & (truth <= ends[:, 1] + 1e-12)
    return float((weight * inside).sum() / weight.sum())


def resample_rows(parts, groups, aggregate, rng, *, draws=DRAWS) -> Draws:
    """What `bootstrap.resample` draws where no question has a group: equal rows are counted, which takes a tenth of the time."""
    assert not any(groups)
    rows, times = np.unique(parts[:, :, 0], axis=0, return_counts=True)
    counts = rng.multinomial(len(parts), times / len(parts), size=draws).astype(float)
    n = np.full((draws, parts.shape[1]), float(len(parts)))
    point = aggregate(parts.sum(axis=0), n[0])
    return Draws(point, aggregate((counts @ rows)[:, :, None], n), n[0])


@dataclass(frozen=True)
class Ladder:
    """A test at the boundary: rungs in cost order, with what is true of them."""

    n: int
    truths: tuple[float, ...]
    own: float
    margin: float = 0.05
    target: float | None = None

    @property
    def name(self) -> str:
        asked = f"margin {self.margin}" if self.target is None else f"target {self.target}"
        return f"{asked}, {len(self.truths)} rungs, n = {self.n}, own errors {self.own}"

    def undeserved(self, rung: int) -> bool:
        if self.target is not None:
            return self.truths[rung] < self.target
        return self.truths[rung] <= max(self.truths) - self.margin + 1e-12


CLIMBS = tuple(
    Ladder(n, (target - 1e-9,) * 6, 1.0, target=target)
    for n, target in ((100, 0.85), (300, 0.9), (300, 0.6), (1000, 0.75))
)
COMPARISONS = (
    *(Ladder(n, (best - 0.05,) * 5 + (best,), 1.0) for n in (100, 300, 1000) for best in (0.65, 0.95)),
    Ladder(300, (0.75,) * 5 + (0.8,), 0.3),
    Ladder(100, (0.75, 0.8), 0.3),
    Ladder(300, (0.75, 0.8), 0.3),
    Ladder(300, (0.9, 0.95), 0.1),
    Ladder(1000, (0.88, 0.9), 0.3, margin=0.02),
    Ladder(300, (0.7,) * 3 + (0.8,), 1.0, margin=0.1),
)


def climb_exactly(n: int, target: float, rungs: int) -> float:
    """Probability that any of so many rungs just below the target, failing independently, is named."""
    truth = target - 1e-9
    right = np.arange(math.floor(n * target), n + 1)
    # Beyond this many right answers nothing is left to add up.
    right = right[: int(np.searchsorted(stats.binom.sf(right, n, truth) < 1e-9, True)) + 2]
    rng = np.random.default_rng([22, n, rungs, round(1000 * target)])
    draws = rng.binomial(n, right / n, size=(decision.DRAWS, len(right))) / n
    drawn = Draws(right / n, draws, np.full(len(right), float(n)))
    named = decision.lower_bounds(drawn, alpha=decision.ALPHA / rungs) >= target
    promises = 1 - stats.binom.cdf(math.ceil(DEV * target) - 1, DEV, truth) ** SETTINGS
    return float(1 - (1 - promises * stats.binom.pmf(right, n, truth)[named].sum()) ** rungs)


def answer(rng: np.random.Generator, ladder: Ladder, shape: tuple[int, ...]) -> np.ndarray:
    """[..., rungs, n]: who is right on which question."""
    common = rng.random((*shape, 1, ladder.n))
    own = rng.random((*shape, len(ladder.truths), ladder.n))
    drawn = np.where(rng.random(own.shape) < ladder.own, own, common)
    return drawn < np.array(ladder.truths)[:, None]


def tune(rng: np.random.Generator, ladder: Ladder) -> np.ndarray:
    """[rungs]: the dev score of each rung's best setting, all of them at the boundary."""
    return rng.binomial(DEV, np.array(ladder.truths)[:, None], size=(len(ladder.truths), SETTINGS)).max(axis=1) / DEV


def may_win(ladder: Ladder, right: np.ndarray) -> bool:
    """A quick look that spares the decision where no undeserving rung comes near its bound."""
    share = right.mean(axis=1)
    if ladder.target is not None:
        se = np.sqrt(share * (1 - share) / ladder.n)
        z = 0.85 * special.ndtri(1 - decision.ALPHA / len(ladder.truths))
        return bool((share - z * se >= ladder.target).any())
    gap = right[:-1].astype(float) - right[-1]
    z = 0.85 * _tukey(len(ladder.truths))
    return bool((gap.mean(axis=1) - z * gap.std(axis=1) / math.sqrt(ladder.n) > -ladder.margin).any())


@functools.cache
def _tukey(candidates: int) -> float:
    """Standard errors that make the intervals of all pairs simultaneous, for independent and normal candidates."""
    return float(stats.studentized_range.ppf(0.95, candidates, 1e5) / math.sqrt(2))


@functools.cache
def _row(i: int, right: bool) -> Row:
    return Row(Answer(f"e{i}", ""), {"accuracy": Score("scored", float(right), {"correct": float(right)})})


def evaluation(name: str, right: np.ndarray, split: str) -> Evaluation:
    n, value = len(right), float(right.mean())
    rows = tuple(_row(i, bool(r)) for i, r in enumerate(right))
    summary = Summary(metric="accuracy", value=value, low=0.0, high=1.0, n=n, scored=n, failed=0, unscored=0)
    header = EvaluationHeader(
        candidate=name, method=name, model="m", split=split, split_hash=split, n=n, metrics=("accuracy",)
    )
    return Evaluation(header, rows, {"accuracy": summary}, Resources(cpu_seconds=float(name) * n))


def promoted(ladder: Ladder, right: np.ndarray, opened: list[int]) -> bool:
    """Whether the protocol names a rung that does not deserve it, on this test."""
    asked = Task(
        name="bench",
        instruction="i",
        inputs=("q",),
        output=OutputSpec(kind="text"),
        metrics=("accuracy",),
        margin=ladder.margin,
        target=ladder.target,
    )
    rules = decision.Protocol(
        task=asked,
        metric=Accuracy(task=asked),
        prices=Prices(cpu_second=1.0),
        mode="compare" if ladder.target is None else "climb",
        planned=len(ladder.truths),
    )
    contenders = []
    for rung in opened:
        name = str(rung + 1)
        cell = Cell(method=name, model="m", rank=rung)
        outcome = Outcome(cell=cell, status="done", candidate=name)
        contenders.append(decision.Contender(outcome, evaluation(name, right[rung], "test")))
    found = decision.decide(contenders, rules)
    return found.winner is not None and ladder.undeserved(int(found.winner) - 1)


def false_promotion(ladder: Ladder, seed: int) -> float:
    rng = np.random.default_rng([21, seed])
    wrong = looked = 0
    tests = DECISIONS if ladder.target is None else DECISIONS // 2
    for _ in range(tests):
        right = answer(rng, ladder, ())
        dev = tune(rng, ladder)
        # Climbing opens test only for a rung whose best setting promises the target on dev.
        opened = [rung for rung in range(len(dev)) if ladder.target is None or dev[rung] >= ladder.target]
        if opened and may_win(ladder, right[opened] if ladder.target is not None else right):
            looked += 1
            wrong += promoted(ladder, right, opened)
    say(f"{ladder.name}: {wrong / tests:.4f} promoted, {looked} of {tests} tests decided")
    return wrong / tests


def timed(name: str, work: Callable[[], dict[str, float]]) -> dict[str, float]:
    started = time.perf_counter()
    found = work()
    say(f"{name}: {time.perf_counter() - started:.0f} s")
    return found


def decisions() -> dict[str, float]:
    exact = {design: climb_exactly(*design) for design in itertools.product(SIZES, TARGETS, RUNGS)}
    worst = max(exact, key=lambda design: exact[design])
    say(f"climbing: at worst {exact[worst]:.4f}, n = {worst[0]}, target {worst[1]}, {worst[2]} rungs")
    with mock.patch.object(decision, "resample", resample_rows):
        climbs = [false_promotion(ladder, seed) for seed, ladder in enumerate(CLIMBS)]
        comparisons = [false_promotion(ladder, seed) for seed, ladder in enumerate(COMPARISONS, 100)]
    there = [climb_exactly(ladder.n, ladder.target or 0.0, len(ladder.truths)) for ladder in CLIMBS]
    return {
        "false_promotion": max(exact[worst], *comparisons),
        "false_promotion_climb": exact[worst],
        "false_promotion_compare": max(comparisons),
        "climb_drawn": float(np.mean(climbs)),
        "climb_exact_there": float(np.mean(there)),
    }


GROUPED = tuple(itertools.product(((8, 25), (20, 10), (60, 3), (200, 2)), (0.0, 0.2, 0.5), (0.7, 0.9)))
"""Groups and their size, correlation within them, and the target at which a candidate truly stands."""
GROUPED_TESTS, GROUPED_DRAWS = 500, 500


def grouped_bounds() -> dict[str, float]:
    """How often a candidate exactly at its target passes it, alone and at 5 %, where questions hang together in groups.

    Rates of groups follow the beta distribution with the stated correlation, which leaves most groups all right at 0.9.
    """
    rng, passed = np.random.default_rng(23), {}
    for (groups, size), alike, target in GROUPED:
        names = [str(i // size) for i in range(groups * size)]
        count = 0
        for _ in range(GROUPED_TESTS):
            k = (1 - alike) / alike if alike else 0.0
            rates = rng.beta(target * k, (1 - target) * k, groups) if alike else np.full(groups, target)
            right = (rng.random((groups, size)) < rates[:, None]).astype(float).reshape(-1, 1, 1)
            drawn = resample(right, names, lambda totals, n: totals[..., 0] / n, rng, draws=GROUPED_DRAWS)
            count += bool(decision.lower_bounds(drawn, alpha=decision.ALPHA)[0] > target)
        passed[groups, size, alike, target] = count / GROUPED_TESTS
        say(f"{groups} groups of {size}, alike {alike}, target {target}: {count / GROUPED_TESTS:.3f} pass")
    return {"grouped_mean": float(np.mean(list(passed.values()))), "grouped_worst": max(passed.values())}


def main() -> None:
    started = time.perf_counter()
    figures = timed("shares", share_coverage) | timed("paired", paired_coverage) | timed("decisions", decisions)
    figures |= timed("groups", grouped_bounds)
    finish(
        "coverage",
        {
            "sizes": SIZES,
            "accuracies": len(ACCURACIES),
            "paired_designs": sum(1 for _ in designs()),
            "climb_designs": len(SIZES) * len(TARGETS) * len(RUNGS),
            "compare_designs": len(COMPARISONS),
            "decisions": DECISIONS,
            "grouped_designs": len(GROUPED),
            "grouped_tests": GROUPED_TESTS,
        },
        **{name: round(value, 4) for name, value in figures.items()},
        standard_error_of_false_promotion=round(math.sqrt(0.05 * 0.95 / DECISIONS), 4),
        seconds=round(time.perf_counter() - started),
    )


if __name__ == "__main__":
    main()
