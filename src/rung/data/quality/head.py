"""A linear head that is fitted in closed form, and its predictions for rows that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

PENALTIES = (0.1, 0.3, 1.0, 3.0)
SCALES = tuple(np.geomspace(0.5, 100.0, 40))
"""What scores are multiplied by before they become probabilities: the inverse of a temperature."""
FOLDS = 5

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Predictions:
    """Out-of-fold probabilities [n, labels], and the settings under which they fit the labels best."""

    probabilities: Floats
    penalty: float
    scale: float

    @property
    def best(self) -> Ints:
        """[n]: the most probable label."""
        found: Ints = self.probabilities.argmax(axis=1)
        return found


def deal_folds(labels: Ints, units: Ints, rng: np.random.Generator, folds: int = FOLDS) -> Ints:
    """[n]: the fold of every row. Rows of one unit share a fold; each label is spread over all folds."""
    _, first, unit = np.unique(units, return_index=True, return_inverse=True)
    order = np.lexsort((rng.random(len(first)), labels[first]))
    place = np.empty(len(first), np.int64)
    place[order] = np.arange(len(first)) % folds
    found: Ints = place[unit]
    return found


def predict_unseen(vectors: NDArray[np.float32], labels: Ints, fold: Ints, k: int) -> Predictions:
    """Each row's label probabilities from a head fitted on the other folds.

    vectors [n, d], labels [n] in 0..k-1, fold [n]. The penalty and the scale are those with the least log-loss over all
    rows: two numbers chosen with thousands of rows, so the predictions stay as good as unseen.
    """
    scores = np.zeros((len(PENALTIES), len(labels), k))
    for number in np.unique(fold):
        held = fold == number
        scores[:, held] = fit_scores(vectors[~held], labels[~held], vectors[held], k)
    return _calibrated(scores, labels)


def fit_scores(
    vectors: NDArray[np.float32],
    labels: Ints,
    held: NDArray[np.float32],
    k: int,
    penalties: tuple[float, ...] = PENALTIES,
) -> Floats:
    """Scores [penalties, held, k] of a ridge regression on one-hot labels (Hastie et al. 2009, section 4.2).

    One eigendecomposition of the vectors' Gram matrix serves every penalty.
    """
    middle = vectors.mean(axis=0)
    centred = vectors - middle
    targets = np.eye(k, dtype=np.float32)[labels]
    shares = targets.mean(axis=0)
    values, basis = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    projected = basis.T @ (centred.T @ (targets - shares)).astype(np.float64)
    seen = (held - middle) @ basis
    return np.stack([seen @ (projected / (np.maximum(values, 0) + penalty)[:, None]) + shares for penalty in penalties])


def _calibrated(scores: Floats, labels: Ints) -> Predictions:
    rows = np.arange(len(labels))
    found: tuple[float, Predictions] | None = None
    for penalty, part in zip(PENALTIES, scores, strict=True):
        for scale in SCALES:
            logs = log_softmax(part * scale, axis=1)
            loss = -float(logs[rows, labels].mean())
            if found is None or loss < found[0]:
                found = loss, Predictions(np.exp(logs), penalty, float(scale))
    assert found is not None
    return found[1]


def predict(vectors: NDArray[np.float32], labels: Ints, held: NDArray[np.float32], k: int, like: Predictions) -> Floats:
    """Probabilities [held, k] from a head fitted on all rows, under the settings of `like`."""
    scores = fit_scores(vectors, labels, held, k, (like.penalty,))[0]
    found: Floats = np.exp(log_softmax(scores * like.scale, axis=1))
    return found
