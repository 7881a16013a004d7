"""FinanceBench's 2,400 answers labelled by people: how well does the best judge that needs no network agree with them?

Judges without a language model (overlap with the right answer; its numbers found again) turn a score into right or wrong at a
threshold chosen on one half of the 150 questions and used on the other, both ways round. The embedded model is asked about
one answer for each question. Kappa's interval resamples the 150 questions. `python bench/judge.py --no-llm` leaves the model out
and keeps no result.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from harness import finish, need_datasets, read_rows, say

from rung.core.evaluation import Answer
from rung.core.hashing import seed_from
from rung.core.model import ModelRef
from rung.core.registry import find
from rung.core.task import Example
from rung.experiment.judges.calibrate import agreement, is_licensed, labels_needed, length_bias
from rung.metrics.judge import Judge, Rubric, dimension
from rung.metrics.text import overlap
from rung.store.records import Interval
from rung.text.normalise import even_numbers, fold
from rung.text.tokens import tokens

SCALE = ("wrong", "right")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
LONGEST = 1500
"""Characters of an answer that the small model is shown."""


def main() -> None:
    rows = read(need_datasets("rag_financebench") / "rag_financebench")
    people = [SCALE[row["label"] == "Correct Answer"] for row in rows]
    questions = [row["financebench_id"] for row in rows]
    lengths = [len(row["answer"]) for row in rows]
    found: dict[str, Any] = {}
    for name, score in SCORES.items():
        scores = np.array([score(row) for row in rows])
        said, thresholds = split_by_threshold(scores, people, questions)
        found[name] = measured(said, people, questions, lengths) | {"thresholds": thresholds}
        say(f"{name}: kappa {found[name]['kappa']}")
    best = max(found, key=lambda name: found[name]["kappa"][0])
    if "--no-llm" in sys.argv:
        print(json.dumps({"judges": found, "best": best}, ensure_ascii=False))
        return
    found |= small_model(rows, people)
    best = max(found, key=lambda name: found[name]["kappa"][0])
    finish(
        "judge",
        {"questions": len(set(questions)), "labels": len(rows), "asked": len(set(questions))},
        best=best,
        kappa=found[best]["kappa"],
        accuracy=found[best]["accuracy"],
        licensed=found[best]["licensed"],
        people_say_right=round(people.count("right") / len(people), 4),
        judges=found,
    )


def read(folder: Path) -> list[dict[str, Any]]:
    """Labelled answers as text, each with its question."""
    asked = {row["financebench_id"]: row["question"] for row in read_rows(folder / "financebench_open_source.jsonl.gz")}
    return [
        row
        | {
            "question": asked[row["financebench_id"]],
            "answer": str(row["model_answer"] or "").strip(),
            "gold": str(row["gold_answer"]),
        }
        for row in read_rows(folder / "human_labelled_answers.jsonl.gz")
    ]


# Judges without a language model


def token_f1(row: dict[str, Any]) -> float:
    return overlap(tokens(row["answer"], "en"), tokens(row["gold"], "en"))


def recall(row: dict[str, Any]) -> float:
    """Share of the right answer's words that the answer holds."""
    gold = set(tokens(row["gold"], "en"))
    return len(gold & set(tokens(row["answer"], "en"))) / len(gold) if gold else 0.0


def numbers(row: dict[str, Any]) -> float:
    """Share of the right answer's numbers found again within 1 %, years left out; where it has none, the share of words."""
    gold, said = (values(row[name]) for name in ("gold", "answer"))
    gold = [value for value in gold if not 1990 <= value <= 2030] or gold
    if not gold:
        return recall(row)
    return sum(any(abs(value - other) <= 0.01 * abs(value) for other in said) for value in gold) / len(gold)


def values(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(even_numbers(fold(text)))]


SCORES: dict[str, Callable[[dict[str, Any]], float]] = {"token_f1": token_f1, "recall": recall, "numbers": numbers}


def split_by_threshold(scores: Any, people: list[str], questions: list[str]) -> tuple[list[str], list[float]]:
    """Each half's verdicts at the threshold with the best kappa on the other half."""
    half = np.array([seed_from("judge half", question) % 2 == 0 for question in questions])
    right = np.array([label == "right" for label in people])
    said = np.zeros(len(scores), dtype=bool)
    thresholds = []
    for mine in (half, ~half):
        candidates = np.unique(np.quantile(scores[~mine], np.linspace(0.02, 0.98, 49)))
        best = max(candidates, key=lambda cut: kappa_of(scores[~mine] >= cut, right[~mine]))
        said[mine] = scores[mine] >= best
        thresholds.append(round(float(best), 4))
    return [SCALE[int(each)] for each in said], thresholds


def kappa_of(first: Any, second: Any) -> float:
    chance = first.mean() * second.mean() + (1 - first.mean()) * (1 - second.mean())
    return float(((first == second).mean() - chance) / (1 - chance)) if chance < 1 else 0.0


# The embedded model


def small_model(rows: list[dict[str, Any]], people: list[str]) -> dict[str, Any]:
    """One answer for each question, drawn by lot: its own verdicts, and its leaning cut where the other half says."""
    chosen: dict[str, int] = {}
    for i, row in enumerate(rows):
        lot = seed_from("judge lot", row["financebench_id"], row["run"])
        before = chosen.get(row["financebench_id"])
        if before is None or lot < seed_from("judge lot", row["financebench_id"], rows[before]["run"]):
            chosen[row["financebench_id"]] = i
    picked = [rows[i] for i in chosen.values()]
    truth = [people[i] for i in chosen.values()]
    model = find("model", "transformers").open(ModelRef(kind="transformers", id="smollm2-135m"))
    judge = Judge(model, Rubric((dimension("correct"),), SCALE))
    examples = [Example(row["financebench_id"], {"question": row["question"]}, (row["gold"],)) for row in picked]
    answers = [Answer(row["financebench_id"], row["answer"][:LONGEST] or "-") for row in picked]
    started = time.perf_counter()
    grades = judge.grade(judge.rubric.dimensions[0], examples, answers, Talk())
    seconds = round(time.perf_counter() - started, 1)
    kept = [k for k, grade in enumerate(grades) if grade.failure is None]
    questions = [picked[k]["financebench_id"] for k in kept]
    lengths = [len(picked[k]["answer"]) for k in kept]
    truth = [truth[k] for k in kept]
    own = measured([grades[k].mark for k in kept], truth, questions, lengths)
    leaning = np.array([grades[k].expected or 0.0 for k in kept])
    said, thresholds = split_by_threshold(leaning, truth, questions)
    cut = measured(said, truth, questions, lengths) | {"thresholds": thresholds}
    more = {"failed": len(grades) - len(kept), "seconds": seconds}
    return {"smollm2-135m": own | more, "smollm2-135m, cut": cut | more}


class Talk:
    def update(self, done: float, total: float, note: str = "") -> None:
        say(f"{note} {done:.0f}/{total:.0f}")


def measured(said: list[str], people: list[str], questions: list[str], lengths: list[int]) -> dict[str, Any]:
    """What a licence would say."""
    found = agreement(said, people, SCALE, questions)
    gaps = [float(a == "right") - float(b == "right") for a, b in zip(said, people, strict=True)]
    return {
        "labels": len(said),
        "kappa": ends(found.kappa),
        "accuracy": ends(found.accuracy),
        "length_bias": ends(length_bias(gaps, lengths, questions)),
        "says_right": round(said.count("right") / len(said), 4),
        "licensed": is_licensed(found, len(said), 0),
        "needed": labels_needed(found, len(said)),
    }


def ends(interval: Interval) -> list[float | None]:
    return [None if x is None else round(x, 4) for x in (interval.point, interval.low, interval.high)]


if __name__ == "__main__":
    main()
