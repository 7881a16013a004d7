"""PubMedQA, yes, no or maybe from an abstract: no-LLM baseline, prompt, few-shot, and the verdict on them.

The 500 expert-labelled questions of the official cross-validation half; the official test list is not among the data, so the
published figures are of the same kind but of other questions. So that one run fits in ten minutes on two cores, 330 seeded
questions are used, 150 of them for test, and of each abstract its last words, which report the results.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np
from harness import finish, need_datasets, read_rows, say

from rung.cli.screen import Screen
from rung.experiment.run import run_task

ROWS = 330
WORDS = 70
"""Words of the abstract that are kept: with six solved examples the prompt stays under a thousand tokens."""
# Jin et al. 2019, abstract: accuracy on the official test of 500.
PUBLISHED = {"majority": 0.552, "biobert_multi_phase": 0.681, "single_human": 0.780}
TASK = """
name: pubmedqa
instruction: Answer the research question from the end of the abstract with yes, no or maybe.
inputs: [question, abstract]
output: {kind: label, column: answer, labels: [yes, no, maybe]}
data: {examples: questions.csv, id: pmid, test_share: 0.4545, dev_share: 0.1818}
methods: METHODS
budget: {minutes: 8}
"""


def write_project(work: Path, source: Path, methods: str = "[baseline, prompt, few_shot]") -> None:
    rows = read_rows(source)
    kept = sorted(np.random.default_rng(7).permutation(len(rows))[:ROWS])
    with (work / "questions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["pmid", "question", "abstract", "answer"])
        for row in (rows[i] for i in kept):
            abstract = " ".join(" ".join(row["contexts"]).split()[-WORDS:])
            writer.writerow([row["pmid"], row["question"], abstract, row["final_decision"]])
    (work / "task.yaml").write_text(TASK.replace("METHODS", methods), "utf-8")


def main() -> None:
    source = need_datasets("medical_en_pubmedqa_cv") / "medical_en_pubmedqa_cv" / "pqal_cv.jsonl.gz"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_project(work, source)
        with Screen() as screen:
            run = run_task(work / "task.yaml", watcher=screen)
        decision = run.read_decision()
        figures = {}
        for standing in decision.standings:
            found = run.read_evaluation(standing.candidate, "test").summaries
            figures |= {
                f"{standing.method}_{name}": [round(value, 4) for value in (each.value, each.low, each.high)]
                for name, each in found.items()
            }
            figures[f"{standing.method}_converged"] = standing.converged
        wall = run.read_run()["wall_seconds"]
    say(decision.reason.en)
    finish(
        "pubmedqa",
        {"questions": ROWS, "test": decision.n, "abstract_words": WORDS},
        **figures,
        verdict=decision.verdict,
        winner=next((s.method for s in decision.standings if s.candidate == decision.winner), None),
        reason=decision.reason.en,
        published=PUBLISHED,
        wall_seconds=wall,
    )


if __name__ == "__main__":
    main()
