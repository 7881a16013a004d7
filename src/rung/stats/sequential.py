"""Paired comparisons that hold at every moment, so that a race may look after each example and stop when it likes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rung.stats.intervals import Bounds, Floats

_STEPS = 26
"""Halvings of an interval of width 2: the bounds are right to seven places."""
_STAKES: Floats = np.sin(np.pi * (np.arange(12) + 0.5) / 24) ** 2
"""Shares of the capital that the twelve gamblers bet; dense near 0 (small differences) and 1 (few examples)."""


def log_evidence(differences: Floats, *, null: float | Floats = 0.0, population: int | None = None) -> Floats:
    """Natural logarithm of the evidence [c] against "the mean difference is at most `null`".

    differences [t, c]: paired differences in [-1, 1] of t examples in random order, for c settings; nan: not known, and
    skipped. The evidence is the capital of a gambler who starts with 1 and bets on larger differences: while the
    statement is true it exceeds 1/alpha at any time with probability at most alpha (Ville 1939), so stop when you like
    and reject where the result is at least -ln(alpha). Capital prod(1 + f (x / m - 1)) with x = difference + 1 and
    m = null + 1, averaged over fixed stakes f: section 4 of Waudby-Smith and Ramdas (2024), Estimating means of bounded
    random variables by betting, with a discrete mixture for their grid of bets. No tuning, and on differences of -1, 0
    and 1 it is a mixture test of the discordant pairs.

    `population`: the examples are drawn without replacement from this many, and the mean asked about is that of all of
    them (their section 5): m is then the mean that the examples not yet seen must have. Without it, the mean is that of
    the source the examples come from. Raises ValueError for differences outside [-1, 1], more examples than the
    population has, and nan together with `population`.
    """
    known = _check(differences, population)
    shifted = np.where(known, differences, 0.0) + 1.0
    m = np.broadcast_to(np.asarray(null, dtype=np.float64) + 1.0, differences.shape[1:])
    return _log_capital(shifted, known, m, population)


def race_bounds(differences: Floats, *, alpha: float, population: int | None = None) -> Bounds:
    """Lower and upper bound [c] of each setting's mean paired difference, valid at all times at once.

    The values of `null` that `log_evidence` does not reject, at alpha / 2 on either side: a confidence sequence. With
    probability 1 - alpha all the intervals that one setting is given while examples stream in hold its mean. Divide
    alpha by the number of comparisons for all settings at once. Arguments and errors as for `log_evidence`; no
    examples: -1 and 1.
    """
    known = _check(differences, population)
    filled = np.where(known, differences, 0.0)
    threshold = math.log(2 / alpha)
    low = _lower(filled + 1.0, known, threshold, population) - 1.0
    high = 1.0 - _lower(1.0 - filled, known, threshold, population)
    return Bounds(low, high)


def lagging(
    scores: Floats, *, alpha: float, rivals: int | None = None, tolerance: float = 0.0, population: int | None = None
) -> NDArray[np.bool_]:
    """Which of c settings [c] may leave the race: shown not to beat the current leader by `tolerance` or more.

    scores [t, c] in [0, 1]: the same t examples for all settings still racing; nan: not known. The leader has the
    highest mean and never lags. `rivals`: how many others each setting had at the start of the race (c - 1 without it).

    With probability 1 - alpha, over the whole race, no setting leaves that beats every other one by `tolerance` or
    more: to lose it, one of its rivals must wrongly be shown level with it, so each comparison takes alpha / rivals
    (Bonferroni), whoever happens to lead. A setting that leaves is otherwise less than `tolerance` better than one that
    was there. Arguments and errors as for `log_evidence`.
    """
    t, c = scores.shape
    if t == 0 or c < 2:
        return np.zeros(c, dtype=bool)
    known = ~np.isnan(scores)
    seen = known.sum(axis=0)
    mean = np.where(known, scores, 0.0).sum(axis=0) / np.maximum(seen, 1)
    leader = int(np.argmax(np.where(seen > 0, mean, -1.0)))
    ahead = scores[:, [leader]] - scores
    threshold = math.log((rivals or c - 1) / alpha)
    found: NDArray[np.bool_] = log_evidence(ahead, null=-tolerance, population=population) >= threshold
    found[leader] = False
    return found


def _check(differences: Floats, population: int | None) -> NDArray[np.bool_]:
    """[t, c]: which differences are known."""
    known = ~np.isnan(differences)
    if differences.ndim != 2 or (np.abs(differences[known]) > 1 + 1e-12).any():
        raise ValueError(f"differences of shape {differences.shape} must be a table of values from -1 to 1")
    if population is not None and (len(differences) > population or not known.all()):
        raise ValueError(f"{len(differences)} examples, {(~known).sum()} unknown, of a population of {population}")
    return known


def _log_capital(x: Floats, known: NDArray[np.bool_], m: Floats, population: int | None) -> Floats:
    """[c]: log of the mixture's capital for x [t, c] in [0, 2] against means m [c]."""
    if not len(x):
        return np.zeros(x.shape[1])
    expected: Floats = m
    if population is not None:
        # The mean that the examples not yet seen must have if all of them are to have the mean m.
        before = np.cumsum(x, axis=0) - x
        expected = (population * m - before) / (population - np.arange(len(x)))[:, None]
    # Below 0 the statement is impossible; there, as at 0, the gambler wins whatever he likes.
    with np.errstate(divide="ignore", over="ignore"):
        gain = np.where(known, x / np.maximum(expected, 1e-300) - 1.0, 0.0)
        capital = np.stack([np.log1p(stake * gain).sum(axis=0) for stake in _STAKES])
    impossible = (np.broadcast_to(expected, x.shape) < -1e-9).any(axis=0)
    return np.where(impossible, np.inf, np.logaddexp.reduce(capital, axis=0) - math.log(len(_STAKES)))


def _lower(x: Floats, known: NDArray[np.bool_], threshold: float, population: int | None) -> Floats:
    """[c]: the largest mean in [0, 2] that the capital rejects as too small; 0 where it rejects none.

    Every factor of the capital falls as the mean rises, so halving finds it.
    """
    low, high = np.zeros(x.shape[1]), np.full(x.shape[1], 2.0)
    if population is not None:
        seen = x.sum(axis=0)
        low, high = seen / population, (seen + 2.0 * (population - len(x))) / population
    for _ in range(_STEPS):
        middle = (low + high) / 2
        rejected = _log_capital(x, known, middle, population) >= threshold
        low, high = np.where(rejected, middle, low), np.where(rejected, high, middle)
    return low
