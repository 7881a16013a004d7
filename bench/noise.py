"""Wrong labels planted in BANKING77: how many of them the quality check ranks first, with TF-IDF and with sentence vectors.

5 % of the training labels are flipped: to any other label, and, harder, to one of the three labels whose questions are most
alike. Ranking is by the out-of-fold probability of a row's own label, as in `rung data check`.
"""

from __future__ import annotations

import csv
import time

import numpy as np
from harness import finish, need_datasets, say
from scipy.stats import rankdata

from rung.core.hashing import seed_from
from rung.data.leakage.keys import keys_of
from rung.data.quality.head import deal_folds, predict_unseen
from rung.data.quality.label_errors import suspect
from rung.data.quality.units import units_of
from rung.data.record import Record
from rung.experiment.inspecting.vectors import encoded_vectors, tfidf_vectors, vector_file
from rung.models.embedded import cache_folder
from rung.models.encoder_local import open_minilm

SHARE = 0.05
TOP = 0.1
SEEDS = 3
NEAR = 3


def plant(labels: np.ndarray, near: np.ndarray | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels with 5 % of them flipped, and which; `near` [k, 3]: the labels that each may be flipped to."""
    k = labels.max() + 1
    changed = labels.copy()
    rows = rng.choice(len(labels), round(SHARE * len(labels)), replace=False)
    if near is None:
        changed[rows] = (labels[rows] + rng.integers(1, k, len(rows))) % k
    else:
        changed[rows] = near[labels[rows], rng.integers(0, near.shape[1], len(rows))]
    planted = np.zeros(len(labels), bool)
    planted[rows] = True
    return changed, planted


def most_alike(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[k, 3]: for each label those whose mean vectors are nearest."""
    middles = np.stack([vectors[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    alike = middles @ middles.T
    np.fill_diagonal(alike, -1)
    return np.argsort(-alike, axis=1)[:, :NEAR]


def measure(vectors: np.ndarray, units: np.ndarray, labels: np.ndarray, near: np.ndarray | None) -> dict[str, float]:
    """Means over seeds, and the worst seed."""
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed_from("noise", seed))
        changed, planted = plant(labels, near, rng)
        started = time.perf_counter()
        like = predict_unseen(vectors, changed, deal_folds(changed, units, rng), labels.max() + 1)
        doubts = suspect(like.probabilities, changed)
        seconds = time.perf_counter() - started
        top = np.argsort(-doubts.doubt, kind="stable")[: round(TOP * len(labels))]
        ranks = rankdata(doubts.doubt)
        hits = planted.sum()
        area = (ranks[planted].sum() - hits * (hits + 1) / 2) / (hits * (len(labels) - hits))
        found.append(
            {
                "top_share": planted[top].sum() / hits,
                "auroc": area,
                "suspected": int(doubts.suspected.sum()),
                "suspected_precision": planted[doubts.suspected].mean(),
                "suspected_recall": doubts.suspected[planted].mean(),
                "estimated_wrong": doubts.wrong.point,
                "head_accuracy": float((like.best == changed).mean()),
                "seconds": seconds,
            }
        )
    means = {key: round(float(np.mean([one[key] for one in found])), 4) for key in found[0]}
    return means | {"top_share_worst": round(min(float(one["top_share"]) for one in found), 4)}


def main() -> None:
    folder = need_datasets("banking77") / "banking77"
    rows = list(csv.DictReader((folder / "train.csv").open(encoding="utf-8")))
    texts = [row["text"] for row in rows]
    names = sorted({row["category"] for row in rows})
    labels = np.array([names.index(row["category"]) for row in rows])
    records = [Record(id=str(n), inputs={"text": text}) for n, text in enumerate(texts)]
    units = units_of(records, keys_of(texts))
    started = time.perf_counter()
    spaces = {"tfidf": tfidf_vectors(texts, seed_from("quality", len(texts)))}
    seconds = {"tfidf_seconds": round(time.perf_counter() - started, 1)}
    say(f"TF-IDF vectors: {seconds['tfidf_seconds']} s")
    encoder = open_minilm()
    keep = vector_file(cache_folder(), encoder, "bench-noise")
    cached = keep.is_file()
    started = time.perf_counter()
    spaces["minilm"] = encoded_vectors(texts, encoder, keep=keep)
    seconds["minilm_seconds"] = None if cached else round(time.perf_counter() - started, 1)
    near = most_alike(spaces["tfidf"], labels)
    figures = {}
    for name, vectors in spaces.items():
        for kind, to in (("uniform", None), ("confusable", near)):
            figures[f"{name}_{kind}"] = measure(vectors, units, labels, to)
            say(f"{name}, {kind}: {figures[f'{name}_{kind}']}")
    finish("noise", len(rows), flipped=SHARE, top=TOP, seeds=SEEDS, **figures, **seconds)


if __name__ == "__main__":
    main()
