"""How far two judges agree beyond chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.stats.intervals import guarded_bounds, two_sided_z


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa with its interval; nan where it is not defined."""

    value: float
    low: float
    high: float
    se: float
    n: int
    agreement: float
    """Share of items on which both agree, chance included."""


def cohen_kappa(first: Sequence[str], second: Sequence[str], *, level: float = 0.95) -> Kappa:
    """(observed - expected) / (1 - expected) agreement of two judges who each gave every item one category (Cohen
    1960).

    Standard error for large samples from Fleiss, Cohen and Everitt (1969), equation 13; the interval is guarded
    (`intervals.guarded_bounds`), because full agreement on a handful of items has a standard error of 0. Where both
    judges use one and the same category throughout, chance explains everything and kappa is nan.

    Raises ValueError where the judgements are not aligned.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} judgements do not align with {len(second)}")
    n = len(first)
    if n == 0:
        return Kappa(math.nan, math.nan, math.nan, math.nan, 0, math.nan)
    column = {name: j for j, name in enumerate(sorted({*first, *second}))}
    table = np.zeros((len(column), len(column)))
    np.add.at(table, ([column[name] for name in first], [column[name] for name in second]), 1.0 / n)
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    agreement, chance = float(np.trace(table)), float(rows @ columns)
    if chance > 1 - 1e-12:
        return Kappa(math.nan, math.nan, math.nan, math.nan, n, agreement)
    kappa = (agreement - chance) / (1 - chance)
    weights = (np.eye(len(column)) - np.add.outer(columns, rows) * (1 - kappa)) ** 2
    variance = (float((table * weights).sum()) - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    se = math.sqrt(max(variance, 0.0)) if n > 1 else math.nan
    # One more item without agreement counts as -chance / (1 - chance) in the mean that kappa nearly is.
    bounds = guarded_bounds(
        np.array(kappa),
        np.array(se),
        np.array(float(n)),
        two_sided_z(level),
        lowest=-chance / (1 - chance),
        highest=1.0,
    )
    return Kappa(kappa, float(bounds.low), float(bounds.high), se, n, agreement)
