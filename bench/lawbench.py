"""LawBench: what the recorded scores of 51 models can and cannot tell apart, and the baseline on its single-label tasks.

The recordings are scores, not answers, so pairs are compared as independent shares of 500 questions (two-sided z test with
pooled variance, Bonferroni over the 1,275 pairs of a task): less sharp than a paired test on the same questions, and safe where
answers agree more often than by chance. Only the tasks that record a plain accuracy are used for that.

LawBench has no training split. The questions are dealt into three seeded folds; the baseline answers each fold after training
on 100 or 300 questions of the other two. The recorded models saw no question with its answer, or one.
"""

from __future__ import annotations

import csv
import math
import re
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from harness import finish, need_datasets, read_rows, say
from scipy.stats import norm, spearmanr

from rung.experiment.run import run_task
from rung.stats.intervals import wilson

QUESTIONS = 500
FOLDS = 3
LABELS = (100, 300)
ACCURACY = ("1-2", "2-4", "2-8", "3-6", "3-7")
"""Tasks whose score is the share of the 500 questions that are right, with no answer and one answer shown."""
SINGLE_LABEL = {"2-2": "判断争议焦点的类别。", "2-4": "确定法律咨询的类别。"}
SHOTS = ("zero", "one")
TASK = """
name: lawbench-NAME
language: zh
instruction: INSTRUCTION
inputs: [question]
output: {kind: label, column: label}
data: {train: train.csv, test: test.csv, id: id}
methods: [baseline]
"""
Scores = dict[str, dict[str, float]]


def read_scores(folder: Path, shots: str) -> Scores:
    """Score by task and model."""
    found: Scores = defaultdict(dict)
    for row in csv.DictReader((folder / f"results_{shots}_shot.csv").open(encoding="utf-8")):
        found[row["task"]][row["model_name"]] = float(row["score"])
    return found


def rank_correlation(first: dict[str, float], second: dict[str, float]) -> float:
    names = sorted(first)
    return float(spearmanr([first[name] for name in names], [second[name] for name in names]).statistic)


def rank_agreement(scores: dict[str, Scores]) -> dict:
    """Spearman's correlation over models: of a task's scores without and with one example, and between tasks."""
    by_task = {task: round(rank_correlation(scores["zero"][task], scores["one"][task]), 3) for task in scores["zero"]}
    between = [rank_correlation(scores["zero"][a], scores["zero"][b]) for a, b in combinations(scores["zero"], 2)]
    return {
        "zero_against_one_shot": dict(sorted(by_task.items())),
        "zero_against_one_shot_median": round(float(np.median(list(by_task.values()))), 3),
        "between_tasks_median": round(float(np.median(between)), 3),
        "between_tasks_range": [round(min(between), 3), round(max(between), 3)],
    }


def apart(first: float, second: float, critical: float) -> bool:
    """Whether two shares of `QUESTIONS` differ, the z test with pooled variance."""
    pooled = (first + second) / 2
    error = math.sqrt(2 * pooled * (1 - pooled) / QUESTIONS)
    return error > 0 and abs(first - second) / error > critical


def separability(scores: dict[str, float]) -> dict:
    """How many pairs of models one task tells apart, and which models it cannot tell from its best."""
    pairs = list(combinations(scores.values(), 2))
    critical = float(norm.isf(0.05 / len(pairs) / 2))
    best = max(scores, key=scores.__getitem__)
    level = [
        n for n in sorted(scores, key=scores.__getitem__, reverse=True) if not apart(scores[n], scores[best], critical)
    ]
    return {
        "separable_pairs": round(sum(apart(a, b, critical) for a, b in pairs) / len(pairs), 3),
        "best": best,
        "best_score": scores[best],
        "not_told_from_best": [name for name in level if name != best],
    }


def read_task(folder: Path, task: str) -> list[tuple[str, str]]:
    """(question, label); the frame around both, which is the same in every row, is taken off."""
    rows = read_rows(folder / f"{task}.jsonl.gz")
    return [(row["question"].removeprefix("句子:"), re.sub(r"^.*[:：]|。$", "", row["answer"])) for row in rows]


def folds_of(questions: Sequence[str]) -> np.ndarray:
    """Fold of every question; a question that occurs twice lies in one fold."""
    distinct = list(dict.fromkeys(questions))
    drawn = np.random.default_rng(7).permutation(len(distinct)) % FOLDS
    fold = dict(zip(distinct, drawn, strict=True))
    return np.array([fold[question] for question in questions])


def run_fold(task: str, rows: Sequence[tuple[str, str]], train: Sequence[int], test: Sequence[int]) -> int:
    """Questions of the fold that the baseline answers right."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, part in (("train", train), ("test", test)):
            with (work / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                table = [(f"{task}-{i}", *rows[i]) for i in part]
                csv.writer(file, lineterminator="\n").writerows([("id", "question", "label"), *table])
        text = TASK.replace("NAME", task).replace("INSTRUCTION", SINGLE_LABEL[task])
        (work / "task.yaml").write_text(text, "utf-8")
        run = run_task(work / "task.yaml")
        (standing,) = run.read_decision().standings
        return sum(row.scores["accuracy"].value > 0 for row in run.read_evaluation(standing.candidate, "test").rows)


def baseline(folder: Path, task: str) -> dict:
    """Accuracy over all questions with Wilson's interval, by how many labels each fold was trained on."""
    rows = read_task(folder, task)
    fold = folds_of([question for question, _ in rows])
    found = {}
    for labels in LABELS:
        right = 0
        for number in range(FOLDS):
            pool = np.random.default_rng(number).permutation(np.flatnonzero(fold != number))[:labels]
            right += run_fold(task, rows, sorted(pool), np.flatnonzero(fold == number))
        bounds = wilson(right, len(rows))
        found[f"labels_{labels}"] = [round(value, 4) for value in (right / len(rows), bounds.low, bounds.high)]
        say(f"{task}, {labels} labels: {found[f'labels_{labels}']}")
    return found


def best_recorded(scores: dict[str, Scores], task: str) -> dict[str, list]:
    """The three best models of a task, without and with one example."""
    found = {}
    for shots in SHOTS:
        ranked = sorted(scores[shots][task].items(), key=lambda pair: -pair[1])
        found[f"{shots}_shot"] = [[name, round(score, 4)] for name, score in ranked[:3]]
    return found


def verdict(task: str, found: dict, scores: dict[str, Scores]) -> str:
    point, low, high = found[f"labels_{LABELS[-1]}"]
    recorded = [score for shots in SHOTS for score in scores[shots][task].values()]
    side = "above" if low > max(recorded) else "below" if high < max(recorded) else "level with"
    return f"baseline with {LABELS[-1]} labels {point:.3f} ({low:.3f}-{high:.3f}), {side} the best recorded score {max(recorded):.3f}"


def main() -> None:
    folder = need_datasets("legal_zh_lawbench") / "legal_zh_lawbench"
    scores = {shots: read_scores(folder, shots) for shots in SHOTS}
    found = {task: baseline(folder, task) for task in SINGLE_LABEL}
    finish(
        "lawbench",
        {"models": len(scores["zero"]["1-1"]), "tasks": len(scores["zero"]), "questions": QUESTIONS},
        rank_correlation=rank_agreement(scores),
        separability={task: {shots: separability(scores[shots][task]) for shots in SHOTS} for task in ACCURACY},
        baseline=found,
        verdict={task: verdict(task, each, scores) for task, each in found.items()},
        published={task: best_recorded(scores, task) for task in SINGLE_LABEL},
        note="2-2 is recorded as F1, which for single labels is accuracy up to answers that name no label or several; the "
        "baseline is trained on labels of the same 500 questions (other folds), the recorded models are not",
    )


if __name__ == "__main__":
    main()
