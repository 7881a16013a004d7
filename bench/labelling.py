"""Labelling order: accuracy of a linear head at an equal number of labels, rows in Rung's order against rows drawn at random.

Twenty intents of BANKING77 a repetition, 1,500 training rows to label from, the official test rows of the same intents. Every 25 labels
the order looks at the head anew. Figures are differences in test accuracy, the mean over 25, 50, ... 200 labels, paired by repetition.
"""

from __future__ import annotations

import csv
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from harness import finish, need_datasets, say
from scipy.stats import t as student

from rung.core.hashing import seed_from
from rung.experiment.annotating.order import STRENGTH, Pool, head_doubt, label_order, text_vectors

REPETITIONS, INTENTS, ROWS, BATCH, BATCHES = 20, 20, 1500, 25, 8
Pick = Callable[["Desk", list[int], np.random.Generator], list[int]]


@dataclass(frozen=True)
class Desk:
    """Rows to label, and test rows, of the same intents."""

    vectors: np.ndarray
    labels: np.ndarray
    test_vectors: np.ndarray
    test_labels: np.ndarray


def draw_desk(train: list[dict], test: list[dict], number: int) -> Desk:
    rng = np.random.default_rng(seed_from("labelling rows", number))
    intents = set(rng.choice(sorted({row["category"] for row in train}), INTENTS, replace=False))
    own = [row for row in train if row["category"] in intents]
    own = [own[i] for i in rng.permutation(len(own))[:ROWS]]
    asked = [row for row in test if row["category"] in intents]
    # One space for both, as a team's unlabelled rows would give: no label is looked at.
    vectors = text_vectors([row["text"] for row in own + asked])
    labels = np.array([row["category"] for row in own + asked], dtype=object)
    n = len(own)
    return Desk(vectors[:n], labels[:n], vectors[n:], labels[n:])


def at_random(desk: Desk, done: list[int], rng: np.random.Generator) -> list[int]:
    left = np.setdiff1d(np.arange(len(desk.vectors)), done)
    return rng.choice(left, BATCH, replace=False).tolist()


def by_order(desk: Desk, done: list[int], rng: np.random.Generator, *, doubts: bool = True) -> list[int]:
    left = np.setdiff1d(np.arange(len(desk.vectors)), done)
    doubt = head_doubt(desk.vectors, done, desk.labels[done].tolist()) if doubts and done else None
    pool = Pool(desk.vectors[left], None if doubt is None else doubt[left], desk.vectors[done])
    return left[label_order(pool, BATCH, rng)].tolist()


def spread_only(desk: Desk, done: list[int], rng: np.random.Generator) -> list[int]:
    return by_order(desk, done, rng, doubts=False)


def doubt_only(desk: Desk, done: list[int], rng: np.random.Generator) -> list[int]:
    left = np.setdiff1d(np.arange(len(desk.vectors)), done)
    doubt = head_doubt(desk.vectors, done, desk.labels[done].tolist()) if done else None
    if doubt is None:
        return at_random(desk, done, rng)
    return left[np.argsort(-doubt[left], kind="stable")[:BATCH]].tolist()


ORDERS: dict[str, Pick] = {"random": at_random, "order": by_order, "spread": spread_only, "doubt": doubt_only}


def curve(desk: Desk, pick: Pick, number: int) -> list[float]:
    """Test accuracy after each batch."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed_from("labelling order", number))
    done: list[int] = []
    found = []
    for _ in range(BATCHES):
        done += pick(desk, done, rng)
        head = LogisticRegression(C=STRENGTH, tol=1e-3, max_iter=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            head.fit(desk.vectors[done], desk.labels[done])
        found.append(float((head.predict(desk.test_vectors) == desk.test_labels).mean()))
    return found


def interval(differences: np.ndarray) -> list[float]:
    """95 % of Student's t over repetitions."""
    n = len(differences)
    reach = float(student.ppf(0.975, n - 1)) * float(differences.std(ddof=1)) / np.sqrt(n)
    return [round(float(differences.mean()) - reach, 4), round(float(differences.mean()) + reach, 4)]


def labels_needed(curves: np.ndarray, target: float) -> float | None:
    """Labels at which a mean curve reaches an accuracy, between batches in a straight line."""
    mean = curves.mean(axis=0)
    above = np.flatnonzero(mean >= target)
    if not len(above):
        return None
    at = int(above[0])
    if at == 0:
        return float(BATCH)
    return float(BATCH * (at + (target - mean[at - 1]) / (mean[at] - mean[at - 1])))


def main() -> None:
    folder = need_datasets("banking77") / "banking77"
    train, test = (list(csv.DictReader((folder / f"{name}.csv").open(encoding="utf-8"))) for name in ("train", "test"))
    started = time.perf_counter()
    curves: dict[str, list[list[float]]] = {name: [] for name in ORDERS}
    for number in range(REPETITIONS):
        desk = draw_desk(train, test, number)
        for name, pick in ORDERS.items():
            curves[name].append(curve(desk, pick, number))
        say(f"{number + 1}/{REPETITIONS}, {time.perf_counter() - started:.0f} s")
    found = {name: np.array(rows) for name, rows in curves.items()}
    figures: dict[str, object] = {}
    for name in ("order", "spread", "doubt"):
        difference = found[name] - found["random"]
        figures[f"{name}_gain"] = round(float(difference.mean()), 4)
        figures[f"{name}_gain_interval"] = interval(difference.mean(axis=1))
        figures[f"{name}_gain_at_200"] = round(float(difference[:, -1].mean()), 4)
        figures[f"{name}_gain_at_200_interval"] = interval(difference[:, -1])
    end = float(found["random"][:, -1].mean())
    needed = labels_needed(found["order"], end)
    finish(
        "labelling",
        {"repetitions": REPETITIONS, "intents": INTENTS, "rows": ROWS, "labels": BATCH * BATCHES},
        **figures,
        **{f"{name}_curve": np.round(rows.mean(axis=0), 4).tolist() for name, rows in found.items()},
        labels_for_random_at_200=None if needed is None else round(needed),
        seconds=round(time.perf_counter() - started, 1),
    )


if __name__ == "__main__":
    main()
