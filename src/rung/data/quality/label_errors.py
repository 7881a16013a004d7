"""Labels that are probably wrong, by confident learning: the confident joint, what lies off its diagonal, and a ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rung.data.quality.estimates import guarded
from rung.data.quality.record import Estimate

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 5
"""Rows of a label without which it is not judged: every fold must leave some to learn it from."""

ODDS = 10.0
"""A row is suspected where another label is this many times as probable as its own, and more than half of the whole."""
PRUNES, ESTIMATES = 0.6, 0.8
"""Share of labels that a head must predict before its joint says which rows are wrong, and how many: the errors of a weaker
one would be taken for errors of the labels."""


@dataclass(frozen=True)
class Suspicions:
    """Of n rows with labels 0..k-1."""

    doubt: Floats
    """[n]: 1 - the probability of the row's own label ("self-confidence"); the higher, the sooner it should be looked at."""
    margin: Floats
    """[n]: probability of its own label minus the highest of the others, -1 to 1."""
    suggested: Ints
    """[n]: the most probable other label."""
    suspected: NDArray[np.bool_]
    """[n]: as many as the joint estimates to be wrong, and those for which another label is ten times as probable."""
    joint: Ints
    """[k, k]: rows with label i (first) that are confidently of label j."""
    wrong: Estimate
    """Share of labels that are wrong, from the calibrated joint."""


def suspect(probabilities: Floats, labels: Ints, *, thresholds: Floats | None = None) -> Suspicions:
    """Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", section 3.

    probabilities [n, k] of rows that the model has not seen; labels [n]. A row counts for label j when its probability of j
    reaches j's threshold, the mean probability of j over the rows that carry it; of several, the most probable counts.
    Suspected are the rows that "prune by noise rate" takes out (section 3.2): where labels are clear the threshold lies so
    high that half of all wrong rows miss it, and would be missed with the bare off-diagonal. A single wrong row among clear ones can miss it still; so rows for which
    another label has more than half of the probability, and ODDS times that of their own, are suspected too. A head that
    predicts fewer than PRUNES of the labels prunes nothing, and below ESTIMATES `wrong` has no value.
    `thresholds` [k]: those of other rows, where these are too few for their own. Ranking is by self-confidence: of the
    paper's scores it found the most planted errors here (`make bench-noise`).
    """
    n, k = probabilities.shape
    rows = np.arange(n)
    own = probabilities[rows, labels]
    limits = label_thresholds(probabilities, labels) if thresholds is None else thresholds
    confident = np.where(probabilities >= limits, probabilities, -1.0)
    chosen = confident.argmax(axis=1)
    counted = confident[rows, chosen] >= 0
    joint = np.zeros((k, k), np.int64)
    np.add.at(joint, (labels[counted], chosen[counted]), 1)
    others = probabilities.copy()
    others[rows, labels] = -1.0
    suggested = others.argmax(axis=1)
    rival = others[rows, suggested]
    right = float((own >= rival).mean()) if n else 0.0
    pruned = _pruned(probabilities, labels, joint) & (own < rival) if right >= PRUNES else np.zeros(n, bool)
    return Suspicions(
        doubt=1 - own,
        margin=own - rival,
        suggested=suggested,
        suspected=pruned | ((rival >= ODDS * own) & (rival > 0.5)),
        joint=joint,
        wrong=_wrong_share(joint, np.bincount(labels, minlength=k))
        if right >= ESTIMATES
        else Estimate(point=None, n=n),
    )


def label_thresholds(probabilities: Floats, labels: Ints) -> Floats:
    """[k]: mean probability of each label over the rows that carry it; above 1, so never reached, for a label of no row."""
    k = probabilities.shape[1]
    counts = np.bincount(labels, minlength=k)
    sums = np.bincount(labels, weights=probabilities[np.arange(len(labels)), labels], minlength=k)
    found: Floats = np.where(counts > 0, sums / np.maximum(counts, 1), 2.0)
    return found


def _pruned(probabilities: Floats, labels: Ints, joint: Ints) -> NDArray[np.bool_]:
    """[n]: of label i, for every other j, the rows that lean most to j, as many as the calibrated joint has there."""
    found = np.zeros(len(labels), bool)
    counts, counted = np.bincount(labels, minlength=len(joint)), joint.sum(axis=1)
    for given, other in zip(*np.nonzero(joint), strict=True):
        if given == other:
            continue
        members = np.flatnonzero(labels == given)
        lean = probabilities[members, other] - probabilities[members, given]
        n = round(counts[given] * joint[given, other] / counted[given])
        found[members[np.argsort(-lean, kind="stable")[:n]]] = True
    return found


def _wrong_share(joint: Ints, counts: Ints) -> Estimate:
    """The off-diagonal of the joint whose rows are stretched to the labels' counts (equation 3 of the paper).

    Its standard error is that of a stratified share: for each label a share of those rows that are counted.
    """
    n = int(counts.sum())
    counted = joint.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = np.where(counted > 0, 1 - np.diag(joint) / counted, 0.0)
        spread = np.where(counted > 0, wrong * (1 - wrong) / counted, 0.0)
    if n < 2:
        return Estimate(point=None, n=n)
    weights = counts / n
    return guarded(float(weights @ wrong), float(np.sqrt(np.square(weights) @ spread)), n, n)
