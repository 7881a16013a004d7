"""FewCLUE's EPRSTMT (2 classes) and TNEWS (15 classes) with 16 and 32 labels a class: what needs no language model.

The baseline alone, on each of the five official training splits (and twice as many labels, from the next split), answering the
whole official public test. `accuracy`: mean over the five splits, with an interval over the test questions.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from harness import finish, need_datasets, read_rows, say

from rung.experiment.run import run_task
from rung.metrics.scoring import mean_of_only_part
from rung.stats.bootstrap import guarded_interval, resample
from rung.store.runs import RunFolder

SPLITS = 5
INSTRUCTION = {"eprstmt": "判断商品评论的情感。", "tnews": "判断新闻标题的类别。"}
NAMES = {"Positive": "好评", "Negative": "差评"}
# FewCLUE (Xu et al. 2021), table 3: RoBERTa-wwm-ext of 110M parameters where no other model is named, 16 labels a class.
PUBLISHED = {
    "eprstmt": {
        "majority": 0.500,
        "fine_tuning": 0.654,
        "zero_shot_roberta": 0.852,
        "zero_shot_gpt": 0.575,
        "pet": 0.867,
        "p_tuning": 0.883,
        "human": 0.900,
    },
    "tnews": {
        "majority": 0.067,
        "fine_tuning": 0.490,
        "zero_shot_roberta": 0.253,
        "zero_shot_gpt": 0.370,
        "pet": 0.545,
        "p_tuning": 0.542,
        "human": 0.710,
    },
}
TASK = """
name: NAME
language: zh
instruction: INSTRUCTION
inputs: [sentence]
output: {kind: label, column: label}
data: {train: train.csv, dev: dev.csv, test: test.csv}
methods: [baseline]
"""
Rows = list[tuple[str, str]]


def read(folder: Path, name: str) -> Rows:
    """(sentence, label) of one official file."""
    names = NAMES
    if folder.name == "tnews":
        names = {line["label_desc"]: line["label_zh"] for line in read_rows(folder / "label_index2en2zh.jsonl")}
    rows = read_rows(folder / f"{name}.jsonl")
    return [(row["sentence"], names[row.get("label_desc", row["label"])]) for row in rows]


def run_baseline(work: Path, task: str, train: Rows, dev: Rows, test: Rows) -> RunFolder:
    for name, rows in (("train", train), ("dev", dev), ("test", test)):
        with (work / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("sentence", "label"), *rows])
    (work / "task.yaml").write_text(TASK.replace("NAME", task).replace("INSTRUCTION", INSTRUCTION[task]), "utf-8")
    return run_task(work / "task.yaml")


def rights_of(run: RunFolder) -> list[float]:
    """Right or wrong, question by question."""
    (standing,) = run.read_decision().standings
    return [row.scores["accuracy"].value for row in run.read_evaluation(standing.candidate, "test").rows]


def head_of(run: RunFolder) -> str:
    (standing,) = run.read_decision().standings
    return str(run.read_candidate(standing.candidate).model.options["kind"])


def mean_over_splits(rights: Sequence[Sequence[float]]) -> list[float]:
    """Mean accuracy and its interval; whole questions are resampled, with their answers after every split."""
    parts = np.array(rights).mean(axis=0)[:, None, None]
    drawn = resample(parts, None, mean_of_only_part, np.random.default_rng(7))
    bounds = guarded_interval(drawn)
    return [round(float(value[0]), 4) for value in (drawn.point, bounds.low, bounds.high)]


def measure(folder: Path, labels: int) -> dict:
    test = read(folder, "test_public")
    rights, heads = [], []
    for split in range(SPLITS):
        dev = read(folder, f"dev_{split}")
        train = read(folder, f"train_{split}")
        if labels == 32:
            seen = {sentence for sentence, _ in (*dev, *train)}
            train += [row for row in read(folder, f"train_{(split + 1) % SPLITS}") if row[0] not in seen]
        with tempfile.TemporaryDirectory() as work:
            run = run_baseline(Path(work), folder.name, train, dev, test)
            rights.append(rights_of(run))
            heads.append(head_of(run))
        say(f"{folder.name}, {labels} labels a class, split {split}: {np.mean(rights[-1]):.3f} ({heads[-1]})")
    return {
        "accuracy": mean_over_splits(rights),
        "by_split": [round(float(np.mean(each)), 4) for each in rights],
        "heads": heads,
        "test": len(test),
    }


def verdict(task: str, found: dict) -> str:
    """What the baseline with 16 labels is worth beside published methods with the same labels."""
    point, low, high = found["accuracy"]
    beaten = sorted(name for name, value in PUBLISHED[task].items() if low > value)
    level = sorted(name for name, value in PUBLISHED[task].items() if low <= value <= high)
    return f"{point:.3f} ({low:.3f}-{high:.3f}): above {', '.join(beaten) or 'none'}; level with {', '.join(level) or 'none'}"


def main() -> None:
    source = need_datasets("fewclue_tnews_eprstmt_bustm") / "fewclue_tnews_eprstmt_bustm"
    found = {task: {f"labels_{labels}": measure(source / task, labels) for labels in (16, 32)} for task in INSTRUCTION}
    finish(
        "fewclue",
        {task: each["labels_16"]["test"] for task, each in found.items()},
        **found,
        verdict={task: verdict(task, each["labels_16"]) for task, each in found.items()},
        published=PUBLISHED,
    )


if __name__ == "__main__":
    main()
