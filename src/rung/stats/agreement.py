"""How far judges agree beyond chance: two of them, or many, some of whose ratings may be missing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rung.stats.bootstrap import DRAWS, Aggregate, resample
from rung.stats.intervals import Floats, guarded_bounds, standard_error, two_sided_z

Rating = str | float | None
"""A category, or a number on a scale. None and nan: this judge did not rate this item."""


@dataclass(frozen=True, slots=True)
class Kappa:
    """Agreement beyond chance with its interval; nan where it is not defined."""

    value: float
    low: float
    high: float
    se: float
    n: int
    """Items with at least two ratings."""
    agreement: float
    """Share of pairs of ratings of one item that are the same, chance included."""


def is_missing(rating: Rating) -> bool:
    """Whether this judge did not rate this item."""
    return rating is None or (isinstance(rating, float) and math.isnan(rating))


def cohen_kappa(first: Sequence[Rating], second: Sequence[Rating], *, level: float = 0.95) -> Kappa:
    """(observed - expected) / (1 - expected) agreement of two judges who each gave every item one category (Cohen
    1960).

    Standard error for large samples from Fleiss, Cohen and Everitt (1969), equation 13; the interval is guarded
    (`intervals.guarded_bounds`), because full agreement on a handful of items has a standard error of 0. Items that one
    of them did not rate are left out. Where both judges use one and the same category throughout, chance explains
    everything and kappa is nan.

    Raises ValueError where the judgements are not aligned.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} judgements do not align with {len(second)}")
    rated = [(a, b) for a, b in zip(first, second, strict=True) if not is_missing(a) and not is_missing(b)]
    n = len(rated)
    if n == 0:
        return Kappa(math.nan, math.nan, math.nan, math.nan, 0, math.nan)
    column = {name: j for j, name in enumerate(dict.fromkeys(rating for pair in rated for rating in pair))}
    table = np.zeros((len(column), len(column)))
    np.add.at(table, ([column[a] for a, _ in rated], [column[b] for _, b in rated]), 1.0 / n)
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


def fleiss_kappa(
    ratings: Sequence[Sequence[Rating]],
    rng: np.random.Generator,
    *,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
    draws: int = DRAWS,
) -> Kappa:
    """Agreement of many judges beyond chance (Fleiss 1971), for categories.

    ratings [n][r]: each item's ratings in any order, whoever gave them. Items with fewer than two are left out; numbers of
    ratings that differ are weighted as in Gwet (2014, Handbook of Inter-Rater Reliability, chapter 2): agreement and
    category shares are both means over items. The interval is guarded, on the standard error of the cluster bootstrap
    over items (groups [n]: items drawn together). One category throughout, one judge, nobody: nan.
    """
    table = _tabulate(ratings)
    size = table.counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        same = (np.square(table.counts).sum(axis=1) - size) / (size * (size - 1))
        parts = np.concatenate([same[:, None], table.counts / size[:, None]], axis=1)
    parts[size < 2] = np.nan

    def kappa(totals: Floats, n: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            chance = np.square(totals[..., 1:] / np.asarray(n)[..., None]).sum(axis=-1)
            found = (totals[..., 0] / n - chance) / (1 - chance)
        return np.where(chance < 1 - 1e-12, found, np.nan)

    known = size >= 2
    agreement = float(same[known].mean()) if known.any() else math.nan
    chance = float(np.square(parts[known, 1:].mean(axis=0)).sum()) if known.any() else math.nan
    worst = -chance / (1 - chance) if chance < 1 - 1e-12 else math.nan
    return _with_interval(parts, groups, kappa, rng, worst, agreement, level, draws)


def krippendorff_alpha(
    ratings: Sequence[Sequence[Rating]],
    rng: np.random.Generator,
    *,
    scale: Literal["nominal", "ordinal", "interval"] = "nominal",
    groups: Sequence[str] | None = None,
    level: float = 0.95,
    draws: int = DRAWS,
) -> Kappa:
    """1 - observed / expected disagreement, for any number of judges, missing ratings and the three scales.

    Krippendorff (2019, Content Analysis, 4th edition, chapter 12; the same as his 2011 note on computing it), from
    coincidences: within an item of m ratings each ordered pair counts 1 / (m - 1). Squared distance of two values:
    nominal 0 or 1; interval (a - b)^2; ordinal the square of the number of ratings from the one to the other, half of
    those at either end. ratings [n][r] as for `fleiss_kappa`, numbers unless nominal. The interval is guarded, on the
    standard error of the cluster bootstrap over items, in which expected disagreement is drawn anew as well. One
    category throughout, one judge, nobody: nan. Raises ValueError for text on an ordinal or interval scale.
    """
    table = _tabulate(ratings, ordered=scale != "nominal")
    size = table.counts.sum(axis=1)
    k = len(table.values)
    with np.errstate(invalid="ignore", divide="ignore"):
        coincidences = table.counts[:, :, None] * table.counts[:, None, :]
        coincidences[:, np.arange(k), np.arange(k)] -= table.counts
        coincidences /= (size - 1)[:, None, None]
    coincidences[size < 2] = np.nan

    def distances(shares: Floats) -> Floats:
        if scale == "nominal":
            return 1.0 - np.eye(k)
        if scale == "interval":
            return np.square(np.subtract.outer(table.values, table.values))
        # Ranks in the middle of each category's ratings: their difference is the number of ratings between.
        middle = np.cumsum(shares, axis=-1) - shares / 2
        found: Floats = np.square(middle[..., :, None] - middle[..., None, :])
        return found

    def alpha(totals: Floats, n: Floats) -> Floats:
        pairs = totals.reshape(*totals.shape[:-1], k, k)
        frequency = pairs.sum(axis=-1)
        count = frequency.sum(axis=-1)
        distance = distances(frequency)
        observed = (pairs * distance).sum(axis=(-2, -1))
        expected = (frequency[..., :, None] * frequency[..., None, :] * distance).sum(axis=(-2, -1))
        with np.errstate(invalid="ignore", divide="ignore"):
            found = 1 - (count - 1) * observed / expected
        return np.where(expected > 1e-12, found, np.nan)

    known = size >= 2
    parts = coincidences.reshape(len(size), k * k)
    agreement, worst = math.nan, math.nan
    if known.any():
        pairs = coincidences[known].sum(axis=0)
        frequency = pairs.sum(axis=1)
        count = float(frequency.sum())
        agreement = float(np.trace(pairs) / count)
        same = float((frequency * (frequency - 1)).sum()) / (count * (count - 1))
        # An item on which judges stand apart as far as two different ratings do on average.
        worst = -same / (1 - same) if same < 1 - 1e-12 else math.nan
    return _with_interval(parts, groups, alpha, rng, worst, agreement, level, draws)


@dataclass(frozen=True)
class _Table:
    counts: Floats
    """[n, k]: how many judges gave item i the rating j."""
    values: Floats
    """[k]: what the ratings stand for, rising; their number in order of appearance where they are categories."""


def _tabulate(ratings: Sequence[Sequence[Rating]], *, ordered: bool = False) -> _Table:
    cells = [(i, rating) for i, row in enumerate(ratings) for rating in row if not is_missing(rating)]
    names = list(dict.fromkeys(rating for _, rating in cells))
    if ordered:
        if any(isinstance(name, str) for name in names):
            raise ValueError("ratings on an ordinal or interval scale are numbers")
        names.sort()  # type: ignore[type-var]
    column = {name: j for j, name in enumerate(names)}
    counts = np.zeros((len(ratings), len(names)))
    np.add.at(counts, ([i for i, _ in cells], [column[rating] for _, rating in cells]), 1.0)
    return _Table(counts, np.array(names if ordered else range(len(names)), dtype=np.float64))


def _with_interval(
    parts: NDArray[np.float64],
    groups: Sequence[str] | None,
    statistic: Aggregate,
    rng: np.random.Generator,
    worst: float,
    agreement: float,
    level: float,
    draws: int,
) -> Kappa:
    """`worst`: what one more item without agreement would count as."""
    n = int(np.isfinite(parts).all(axis=1).sum()) if parts.shape[1] else 0
    if n == 0 or math.isnan(worst):
        return Kappa(math.nan, math.nan, math.nan, math.nan, n, agreement)
    drawn = resample(parts[:, None, :], groups, statistic, rng, draws=draws)
    se = standard_error(drawn.draws, drawn.units)
    z = two_sided_z(level)
    bounds = guarded_bounds(drawn.point, se, drawn.units, z, lowest=worst, highest=1.0)
    # On a scale with distances judges may do worse than the item that the guard adds.
    low = np.minimum(bounds.low, drawn.point - z * se)
    return Kappa(float(drawn.point[0]), float(low[0]), float(bounds.high[0]), float(se[0]), n, agreement)
