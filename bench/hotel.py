"""Chinese hotel reviews, positive or negative: is a language model needed at all?

The baseline alone on all 7,765 reviews, a fifth of them for test; then the ladder on seeded short reviews, since the built-in English
model needs about two tokens for every Chinese character.
"""

from __future__ import annotations

import csv
import gzip
import tempfile
from pathlib import Path

import numpy as np
from harness import finish, need_datasets, say

from rung.cli.screen import Screen
from rung.experiment.run import run_task

ROWS = 600
LONGEST = 120
TASK = """
name: hotel
language: zh
instruction: 判断酒店评论的情感。
inputs: [review]
output: {kind: label, column: label}
data: {examples: hotel.csv, test_share: SHARE}
methods: METHODS
"""


def decided(rows, *, share, methods):
    """The decision of a run over these rows."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with (work / "hotel.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["label", "review"])
            writer.writerows([["好评" if row["label"] == "1" else "差评", row["review"]] for row in rows])
        (work / "task.yaml").write_text(TASK.replace("SHARE", str(share)).replace("METHODS", methods), "utf-8")
        with Screen() as screen:
            run = run_task(work / "task.yaml", watcher=screen)
        return run.read_decision()


def figures_of(decision, suffix=""):
    return {
        f"{s.method}_accuracy{suffix}": [round(value, 4) for value in (s.quality.point, s.quality.low, s.quality.high)]
        for s in decision.standings
    }


def main() -> None:
    source = need_datasets("sentiment_zh_hotel") / "sentiment_zh_hotel" / "ChnSentiCorp_htl_all.csv.gz"
    rows = [
        row for row in csv.DictReader(gzip.open(source, "rt", encoding="utf-8", newline="")) if row["review"].strip()
    ]
    whole = decided(rows, share=0.2, methods="[baseline]")
    short = [row for row in rows if len(row["review"]) <= LONGEST]
    kept = sorted(np.random.default_rng(7).permutation(len(short))[:ROWS])
    ladder = decided([short[i] for i in kept], share=0.4, methods="[baseline, prompt, few_shot]")
    say(ladder.reason.zh)
    finish(
        "hotel",
        {"reviews": len(rows), "test": whole.n, "short_reviews": ROWS, "short_test": ladder.n},
        **figures_of(whole),
        **figures_of(ladder, "_short"),
        verdict=ladder.verdict,
        winner=next((s.method for s in ladder.standings if s.candidate == ladder.winner), None),
        reason_zh=ladder.reason.zh,
        published="no official split; encoder models are usually reported around 0.93-0.95 on variants of this set (unverified)",
    )


if __name__ == "__main__":
    main()
