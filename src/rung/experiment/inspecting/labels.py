"""Labels under suspicion: out-of-fold predictions of train and dev, a head from both for test, and the learning curve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.hashing import seed_from
from rung.data.quality.estimates import share
from rung.data.quality.head import FOLDS, Predictions, deal_folds, predict, predict_unseen
from rung.data.quality.label_errors import FEWEST, Suspicions, label_thresholds, suspect
from rung.data.quality.record import Confusion, Curve, LabelErrors, Reason
from rung.data.quality.volume import FEWEST_ROWS, SEEDS, learning_curve
from rung.data.record import Record

Progress = Callable[[float, float, str], None]
_CONFUSIONS = 15
FEWEST_JUDGED = 20
"""Rows without which no label is judged."""


@dataclass
class Judged:
    """What is known of labels; places are those of the records."""

    errors: LabelErrors | None = None
    reasons: dict[int, Reason] = field(default_factory=dict)
    suggested: dict[int, str] = field(default_factory=dict)
    doubts: dict[int, float] = field(default_factory=dict)
    """1 - probability of its own label, for every judged row of train and dev."""
    doubted: Counter[str] = field(default_factory=Counter)
    """Suspected rows of train and dev by the label that they carry."""
    curve: Curve | None = None
    skipped: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


def judge_labels(
    records: Sequence[Record],
    vectors: NDArray[np.float32],
    units: NDArray[np.int64],
    *,
    quick: bool = False,
    progress: Progress | None = None,
) -> Judged:
    """Judge every label by what the others say.

    Rows of labels that fewer than FEWEST rows of train and dev carry teach the head, but are not judged.
    """
    judged = Judged()
    labelled = [n for n, record in enumerate(records) if record.answer.strip()]
    open_places = np.array([n for n in labelled if records[n].split != "test"], np.int64)
    counts = Counter(records[n].answer for n in open_places)
    names = sorted(name for name, n in counts.items() if n >= FEWEST)
    column = {name: i for i, name in enumerate(names)}
    kept = np.array([n for n in open_places if records[n].answer in column], np.int64)
    if len(names) < 2:
        for measure in ("labels", "curve"):
            judged.skipped.append((measure, "E2877", {"n": len(names), "needed": FEWEST}))
        return judged
    if len(kept) < FEWEST_JUDGED or len(np.unique(units[kept])) < 2 * FOLDS:
        for measure in ("labels", "curve"):
            judged.skipped.append((measure, "E2871", {"n": len(kept), "needed": FEWEST_JUDGED}))
        return judged
    labels = np.array([column[records[n].answer] for n in kept], np.int64)
    fold = deal_folds(labels, units[kept], np.random.default_rng(seed_from("quality folds", len(kept))))
    like = predict_unseen(vectors[kept], labels, fold, len(names))
    found = suspect(like.probabilities, labels)
    suspected = _tell(judged, records, kept, found, like.probabilities, labels, names)
    judged.doubts = dict(zip(kept.tolist(), found.doubt.tolist(), strict=True))
    judged.doubted = Counter(records[n].answer for n in suspected)
    pairs = Counter((records[n].answer, judged.suggested[n]) for n in suspected)
    judged.errors = LabelErrors(
        judged=len(kept),
        unjudged=len(open_places) - len(kept),
        head=share(like.best == labels, units[kept]),
        wrong=found.wrong,
        suspected=len(suspected),
        confusions=tuple(Confusion(given=a, suggested=b, n=n) for (a, b), n in pairs.most_common(_CONFUSIONS)),
    )
    _judge_test(judged, records, vectors, kept, labels, like, names)
    judged.curve = learning_curve(
        vectors[kept], labels, units[kept], len(names), like, seeds=1 if quick else SEEDS, progress=progress
    )
    if judged.curve is None:
        judged.skipped.append(("curve", "E2871", {"n": len(kept), "needed": FEWEST_ROWS}))
    return judged


def _tell(
    judged: Judged,
    records: Sequence[Record],
    places: NDArray[np.int64],
    found: Suspicions,
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    names: Sequence[str],
) -> list[int]:
    """Note a reason and a suggestion for every suspected row; a suggestion that the row accepts anyway is none."""
    suspected = []
    for at in np.flatnonzero(found.suspected).tolist():
        place = int(places[at])
        other = names[int(found.suggested[at])]
        if other in records[place].answers[1:]:
            continue
        own, rival = float(probabilities[at, labels[at]]), float(probabilities[at, found.suggested[at]])
        values = {"given": records[place].answer, "suggested": other, "own": round(own, 4), "rival": round(rival, 4)}
        judged.reasons[place] = Reason(kind="label", weight=round(rival / (own + rival), 4), values=values)
        judged.suggested[place] = other
        suspected.append(place)
    return suspected


def _judge_test(
    judged: Judged,
    records: Sequence[Record],
    vectors: NDArray[np.float32],
    kept: NDArray[np.int64],
    labels: NDArray[np.int64],
    like: Predictions,
    names: Sequence[str],
) -> None:
    """Test rows by a head of train and dev, against the thresholds of train and dev."""
    column = {name: i for i, name in enumerate(names)}
    test = np.array([n for n, r in enumerate(records) if r.split == "test" and r.answer in column], np.int64)
    if not len(test) or judged.errors is None:
        return
    held = np.array([column[records[n].answer] for n in test], np.int64)
    probabilities = predict(vectors[kept], labels, vectors[test], len(names), like)
    found = suspect(probabilities, held, thresholds=label_thresholds(like.probabilities, labels))
    suspected = _tell(judged, records, test, found, probabilities, held, names)
    judged.errors = judged.errors.model_copy(update={"test_judged": len(test), "test_suspected": len(suspected)})
