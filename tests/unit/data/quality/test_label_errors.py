"""Wrong labels: planted ones are found, groups stay together, and a share comes with its interval."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from rung.data.leakage.keys import keys_of
from rung.data.quality import label_errors
from rung.data.quality.estimates import share
from rung.data.quality.head import deal_folds, predict_unseen
from rung.data.quality.label_errors import label_thresholds, suspect
from rung.data.quality.units import units_of
from rung.data.record import Record


def blobs(n: int, k: int, seed: int, spread: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around k middles, and the label of each."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % k
    vectors = np.eye(12)[labels] + spread * rng.standard_normal((n, 12))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), labels


def test_planted_errors_come_first_and_their_own_label_is_suggested() -> None:
    vectors, true = blobs(300, 4, 1)
    labels = true.copy()
    planted = np.arange(0, 300, 19)
    labels[planted] = (labels[planted] + 1) % 4
    fold = deal_folds(labels, np.arange(300), np.random.default_rng(0))
    found = suspect(predict_unseen(vectors, labels, fold, 4).probabilities, labels)
    assert set(np.argsort(-found.doubt)[: len(planted)]) == set(planted)
    assert set(np.flatnonzero(found.suspected)) <= set(planted)
    assert found.suspected.sum() >= 0.7 * len(planted)
    assert (found.suggested[planted] == true[planted]).all()
    assert found.wrong.low is not None
    assert found.wrong.low < len(planted) / 300 < (found.wrong.high or 0)
    assert found.wrong.point == pytest.approx(len(planted) / 300, abs=0.02)


def test_the_confident_joint_counts_a_row_for_the_label_whose_threshold_it_reaches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Thresholds are 0.7 and 0.6; row 2 is 0.65 sure of label 1, and row 4 of nothing.
    probabilities = np.array([[0.9, 0.1], [0.85, 0.15], [0.35, 0.65], [0.1, 0.9], [0.55, 0.45], [0.55, 0.45]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert label_thresholds(probabilities, labels) == pytest.approx([0.7, 0.6])
    # A head that errs on half of them would not be doubtful.
    doubtful = suspect(probabilities, labels)
    assert doubtful.wrong.point is None
    assert not doubtful.suspected.any()
    monkeypatch.setattr(label_errors, "PRUNES", 0.0)
    monkeypatch.setattr(label_errors, "ESTIMATES", 0.0)
    found = suspect(probabilities, labels)
    assert found.joint.tolist() == [[2, 1], [0, 1]]
    assert found.suspected.tolist() == [False, False, True, False, False, False]
    # A third of label 0 and none of label 1, each half of all rows.
    assert found.wrong.point == pytest.approx(1 / 6)


def test_rows_of_one_group_or_one_question_share_a_fold() -> None:
    records = [
        Record(id=str(n), inputs={"q": f"question {n // 2}"}, group=f"g{n % 7}" if n < 14 else "") for n in range(60)
    ]
    units = units_of(records, keys_of([record.question for record in records]))
    # Questions 0 to 6 are linked by their groups into one unit.
    assert len(np.unique(units[:14])) == 1
    fold = deal_folds(np.zeros(60, np.int64), units, np.random.default_rng(0))
    assert len(np.unique(fold[:14])) == 1
    assert all(fold[n] == fold[n + 1] for n in range(14, 60, 2))
    assert len(np.unique(fold)) == 5


def test_a_share_of_groups_is_less_sure_than_one_of_rows() -> None:
    hits = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0], 5)
    alone, grouped = share(hits, np.arange(40)), share(hits, np.repeat(np.arange(8), 5))
    assert alone.point == grouped.point == 0.75
    assert (grouped.high or 0) - (grouped.low or 0) > 1.3 * ((alone.high or 0) - (alone.low or 0))
    assert share(np.zeros(0), np.zeros(0, np.int64)).point is None
    assert share(np.ones(4), np.zeros(4, np.int64)).low is None


@pytest.mark.datasets
@pytest.mark.slow
def test_four_fifths_of_flipped_banking77_labels_rank_in_the_top_tenth(datasets: Path) -> None:
    from rung.experiment.inspecting.vectors import tfidf_vectors

    with (datasets / "banking77" / "train.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["category"] for row in rows})
    true = np.array([names.index(row["category"]) for row in rows])
    rng = np.random.default_rng(7)
    planted = rng.choice(len(rows), len(rows) // 20, replace=False)
    labels = true.copy()
    labels[planted] = (true[planted] + rng.integers(1, len(names), len(planted))) % len(names)
    texts = [row["text"] for row in rows]
    units = units_of([Record(id=str(n), inputs={"text": text}) for n, text in enumerate(texts)], keys_of(texts))
    like = predict_unseen(tfidf_vectors(texts, 0), labels, deal_folds(labels, units, rng), len(names))
    top = np.argsort(-suspect(like.probabilities, labels).doubt)[: len(rows) // 10]
    assert np.isin(planted, top).mean() >= 0.8
