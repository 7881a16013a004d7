"""Before and after on dimensions: mean marks of two systems and the paired change, from people or from a licensed judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import UsageError
from rung.core.hashing import seed_from
from rung.experiment.evaluate import number
from rung.metrics.scoring import mean_of_only_part
from rung.stats.bootstrap import DRAWS, Draws, guarded_interval, resample
from rung.stats.intervals import Floats, guarded_bounds, standard_error, two_sided_z
from rung.store.judging import DimensionRow, SystemMark
from rung.store.records import Interval, Text
from rung.store.runs import RunFolder

LEVEL = 0.95


@dataclass(frozen=True)
class Marks:
    """One dimension's marks, 0 to 1, by question; a question without a mark is missing or None."""

    name: str
    definition: str
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]
    low: float = 1.0
    high: float = 5.0
    """What 0 and 1 stand for on the scale."""
    withheld: Text | None = None
    """Why a judge's marks are not shown."""


@dataclass(frozen=True)
class Systems:
    """The two that are compared: candidate ids, and the names they go by."""

    before: str
    after: str
    names: Mapping[str, str] = field(default_factory=dict)

    def called(self, candidate: str) -> str:
        return self.names.get(candidate, candidate)


def before_and_after(run: RunFolder, *, before: str = "", after: str = "") -> Systems:
    """After is the winner, or while there is none the best; before the zero-shot prompt, else the baseline, else the cheapest.

    Candidates may be named by id, or by the model's name of a recorded one. Raises UsageError E1302 for an unknown
    candidate, E4319 where fewer than two have answers.
    """
    decision = run.read_decision()
    standings = [s for s in decision.standings if run.read_evaluation(s.candidate, "test")] if decision else []
    if decision is None or len(standings) < 2:
        raise UsageError("E4319", run=run.path)
    names = {s.candidate: s.model if s.method == "recorded" else s.method for s in standings}
    if len(set(names.values())) < len(names):
        names = {s.candidate: f"{names[s.candidate]} ({s.model})" for s in standings}
    chosen = {side: _named(run, names, said) for side, said in (("before", before), ("after", after)) if said}
    if "after" not in chosen:
        sign = 1.0 if decision.better == "higher" else -1.0
        known = [s for s in standings if s.quality.point is not None] or standings
        best = max(known, key=lambda s: sign * (s.quality.point or 0.0)).candidate
        others = [s.candidate for s in standings if s.candidate != chosen.get("before")]
        wanted = decision.winner or best
        chosen["after"] = wanted if wanted in others else others[0]
    if "before" not in chosen:
        order = {"prompt": 0, "baseline": 1}
        rest = [s for s in standings if s.candidate != chosen["after"]]
        chosen["before"] = min(rest, key=lambda s: order.get(s.method, 2)).candidate
    return Systems(chosen["before"], chosen["after"], names)


def _named(run: RunFolder, names: Mapping[str, str], said: str) -> str:
    found = [candidate for candidate, name in names.items() if said in {candidate, name}]
    if len(found) != 1:
        raise UsageError("E1302", candidate=said, known=", ".join(names.values()), path=run.path)
    return found[0]


def dimension_rows(
    dimensions: Sequence[Marks], systems: Systems, groups: Mapping[str, str], *, n: int
) -> tuple[DimensionRow, ...]:
    """Mean marks of both systems and their change, whole groups resampled; `groups` by question, `n` questions in all.

    The changes hold at 95 % for all dimensions at once (Bonferroni: each at 1 - 0.05 / k). The change is over questions
    that have a mark for both answers, a system's mean over all that it has marks for.
    """
    shown = sum(marks.withheld is None for marks in dimensions)
    level = 1 - (1 - LEVEL) / max(1, shown)
    return tuple(_row(marks, systems, groups, n, level) for marks in dimensions)


def _row(marks: Marks, systems: Systems, groups: Mapping[str, str], n: int, level: float) -> DimensionRow:
    if marks.withheld is not None:
        return DimensionRow(
            name=marks.name,
            definition=marks.definition,
            low=marks.low,
            high=marks.high,
            systems=(),
            change=Interval(point=None),
            pairs=0,
            withheld=marks.withheld,
        )
    ids = sorted(marks.before.keys() | marks.after.keys())
    sides: list[list[float | None]] = [[side.get(key) for key in ids] for side in (marks.before, marks.after)]
    parts = np.array([[np.nan if mark is None else mark for mark in side] for side in sides], dtype=np.float64).T
    parts = parts.reshape(-1, 2)
    named = [groups.get(key, "") for key in ids]
    span = marks.high - marks.low
    alone = _resampled(parts, named, marks.name, "means")
    means = guarded_interval(alone)
    found = tuple(
        SystemMark(
            candidate=candidate,
            name=systems.called(candidate),
            mean=_scaled(alone.point[j], means.low[j], means.high[j], span, marks.low),
            marked=(marked := int(np.isfinite(parts[:, j]).sum())),
            failed=n - marked,
        )
        for j, candidate in enumerate((systems.before, systems.after))
    )
    both: NDArray[np.bool_] = np.asarray(np.isfinite(parts).all(axis=1))
    paired = _resampled(np.where(both[:, None], parts, np.nan), named, marks.name, "change")
    change = paired.point[1:] - paired.point[:1]
    se = standard_error(paired.draws[:, 1:] - paired.draws[:, :1], paired.units[:1])
    bounds = guarded_bounds(change, se, paired.units[:1], two_sided_z(level), lowest=-1.0, highest=1.0)
    return DimensionRow(
        name=marks.name,
        definition=marks.definition,
        low=marks.low,
        high=marks.high,
        systems=found,
        change=_scaled(change[0], bounds.low[0], bounds.high[0], span, 0.0),
        pairs=int(both.sum()),
    )


def _resampled(parts: Floats, groups: Sequence[str], *seed: str) -> Draws:
    rng = np.random.default_rng(seed_from("dimensions", *seed))
    return resample(parts[:, :, None], groups, mean_of_only_part, rng, draws=DRAWS)


def _scaled(point: float, low: float, high: float, span: float, floor: float) -> Interval:
    values = [number(floor + span * float(value)) for value in (point, low, high)]
    return Interval(point=values[0], low=values[1], high=values[2])
