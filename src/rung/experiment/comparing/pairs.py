"""Tests of every pair of systems on the same questions, corrected for the number of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rung.core.evaluation import Evaluation, Metric, parts_matrix
from rung.core.hashing import seed_from
from rung.experiment.evaluate import number
from rung.stats.multiple import holm
from rung.stats.paired import mcnemar, permutation_test
from rung.store.comparison import PairTest


def pair_tests(evaluations: Sequence[Evaluation], metric: Metric) -> tuple[PairTest, ...]:
    """Every pair of systems by exact McNemar, or by permutation of whole groups; Holm's correction over all pairs.

    McNemar where every score is 0 or 1, the metric is their mean and no questions belong together.
    """
    groups = [row.group for row in evaluations[0].rows]
    parts = [parts_of(evaluation, metric) for evaluation in evaluations]
    known = [part[~np.isnan(part).any(axis=1)] for part in parts]
    exact = len(metric.parts) == 1 and not any(groups) and all(np.isin(part, (0.0, 1.0)).all() for part in known)
    names = [evaluation.header.model for evaluation in evaluations]
    pairs = list(combinations(range(len(evaluations)), 2))
    values = np.array([_p_value(parts[i], parts[j], groups, metric, (names[i], names[j]), exact) for i, j in pairs])
    return tuple(
        PairTest(
            first=names[i],
            second=names[j],
            test="mcnemar" if exact else "permutation",
            p_value=number(value),
            p_holm=number(corrected),
        )
        for (i, j), value, corrected in zip(pairs, values, holm(values), strict=True)
    )


def _p_value(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    groups: Sequence[str],
    metric: Metric,
    names: tuple[str, str],
    exact: bool,
) -> float:
    both: NDArray[np.bool_] = np.asarray(np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1))
    if exact:
        return mcnemar(first[both, 0] == 1.0, second[both, 0] == 1.0).exact
    kept = [group for group, keep in zip(groups, both, strict=True) if keep]
    rng = np.random.default_rng(seed_from("pairs", *names))
    return permutation_test(np.stack([first[both], second[both]], axis=1), kept, metric.aggregate, rng)


def parts_of(evaluation: Evaluation, metric: Metric) -> NDArray[np.float64]:
    """float [n, p]: the parts of every answer's score; nan where it is not scored."""
    return parts_matrix([row.scores[metric.name] for row in evaluation.rows], metric.parts)
