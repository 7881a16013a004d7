"""Chinese hotel reviews, positive or negative: is a language model needed at all? 1,000 seeded reviews, 300 of them for test."""

from __future__ import annotations

import csv
import gzip
import tempfile
from pathlib import Path

import numpy as np
from harness import finish, need_datasets, say

from rung.cli.screen import Screen
from rung.experiment.run import run_task

ROWS = 1000
TASK = """
name: hotel
language: zh
instruction: 判断酒店评论的情感。
inputs: [review]
output: {kind: label, column: label}
data: {examples: hotel.csv}
methods: [baseline, prompt, few_shot]
"""


def main() -> None:
    source = need_datasets("sentiment_zh_hotel") / "sentiment_zh_hotel" / "ChnSentiCorp_htl_all.csv.gz"
    rows = [
        row for row in csv.DictReader(gzip.open(source, "rt", encoding="utf-8", newline="")) if row["review"].strip()
    ]
    kept = sorted(np.random.default_rng(7).permutation(len(rows))[:ROWS])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with (work / "hotel.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["label", "review"])
            writer.writerows([["好评" if rows[i]["label"] == "1" else "差评", rows[i]["review"][:300]] for i in kept])
        (work / "task.yaml").write_text(TASK, "utf-8")
        with Screen() as screen:
            run = run_task(work / "task.yaml", watcher=screen)
        decision = run.read_decision()
    say(decision.reason.zh)
    finish(
        "hotel",
        {"reviews": ROWS, "test": decision.n},
        **{
            f"{s.method}_accuracy": [round(s.quality.point, 4), round(s.quality.low, 4), round(s.quality.high, 4)]
            for s in decision.standings
        },
        verdict=decision.verdict,
        winner=next((s.method for s in decision.standings if s.candidate == decision.winner), None),
        reason_zh=decision.reason.zh,
        published="no official split; encoder models are usually reported around 0.93-0.95 on variants of this set (unverified)",
    )


if __name__ == "__main__":
    main()
