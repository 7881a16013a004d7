"""The paired cluster bootstrap: 10,000 draws for 20 candidates on 3,000 examples, each way in a process of its own.

`one_part_seconds`: a metric with one part (accuracy), median of the repeats; `macro_f1_seconds`: macro-F1 over 77 labels, whose
3 x 77 parts are summed in every draw; both on one thread, from parts in memory to draws. `peak_memory_gib`: the larger of
the two processes' highest resident memory, interpreter and parts included.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
from harness import finish, median, say

from rung.core.task import OutputSpec, Task
from rung.metrics.labels import Accuracy, MacroF1
from rung.stats.bootstrap import DRAWS, resample

EXAMPLES, CANDIDATES, LABELS = 3_000, 20, 77
REPEATS = {"accuracy": 5, "macro_f1": 3}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def task(metric: str) -> Task:
    labels = tuple(f"label {i}" for i in range(LABELS))
    output = OutputSpec(kind="label", labels=labels)
    return Task(name="bench", instruction="i", inputs=("q",), output=output, metrics=(metric,))


def answers(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Right labels [n] and answered labels [n, c] of candidates that are right on 60 to 95 % of the same questions."""
    right = rng.integers(0, LABELS, EXAMPLES)
    hard = rng.random((EXAMPLES, 1))
    own = np.where(rng.random((EXAMPLES, CANDIDATES)) < 0.3, rng.random((EXAMPLES, CANDIDATES)), hard)
    said = np.where(own < np.linspace(0.6, 0.95, CANDIDATES), right[:, None], rng.integers(0, LABELS, own.shape))
    return right, said


def parts_of(metric: str, rng: np.random.Generator) -> np.ndarray:
    right, said = answers(rng)
    if metric == "accuracy":
        return (said == right[:, None]).astype(float)[:, :, None]
    parts = np.zeros((EXAMPLES, CANDIDATES, 3 * LABELS))
    row, column = np.ogrid[:EXAMPLES, :CANDIDATES]
    correct = said == right[:, None]
    parts[row, column, said + LABELS * ~correct] = 1.0
    parts[row, column, right[:, None] + 2 * LABELS * ~correct] = 1.0
    return parts


def measure(metric: str) -> dict[str, float]:
    scorer = {"accuracy": Accuracy, "macro_f1": MacroF1}[metric](task=task(metric))
    parts = parts_of(metric, np.random.default_rng(7))
    seconds = []
    for repeat in range(REPEATS[metric]):
        started = time.perf_counter()
        drawn = resample(parts, None, scorer.aggregate, np.random.default_rng(repeat), draws=DRAWS)
        seconds.append(time.perf_counter() - started)
        say(f"{metric}: {seconds[-1]:.2f} s, standard errors {drawn.draws.std(axis=0)[[0, -1]].round(4)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    return {"seconds": median(seconds), "slowest": max(seconds), "peak_memory_gib": peak}


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    found = {}
    for metric in REPEATS:
        command = [sys.executable, __file__, metric]
        done = subprocess.run(command, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, check=True)
        found[metric] = json.loads(done.stdout)
    finish(
        "bootstrap",
        {"draws": DRAWS, "candidates": CANDIDATES, "examples": EXAMPLES, "labels": LABELS, "repeats": REPEATS},
        one_part_seconds=round(found["accuracy"]["seconds"], 3),
        one_part_slowest=round(found["accuracy"]["slowest"], 3),
        macro_f1_seconds=round(found["macro_f1"]["seconds"], 2),
        macro_f1_slowest=round(found["macro_f1"]["slowest"], 2),
        peak_memory_gib=round(max(part["peak_memory_gib"] for part in found.values()), 3),
    )


if __name__ == "__main__":
    main()
