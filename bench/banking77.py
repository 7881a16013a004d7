"""BANKING77, 77 intents, official test split: no-LLM baseline, few-shot, and few-shot with tuning, and the verdict on them.

The baseline answers all 3,080 test questions; the decision compares all rungs on the same 1,000 of them, drawn with a seed.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from harness import finish, need_datasets, say, work_folder

from rung.cli.screen import Screen
from rung.core.answer import open_candidate
from rung.core.registry import create
from rung.core.task import Split
from rung.experiment.evaluate import Question, evaluate
from rung.experiment.run import run_task
from rung.experiment.setup import prepare
from rung.store.runs import RunFolder

PUBLISHED = {"encoder_linear_head": 0.931, "use_convert_full": 0.9336, "bert_fine_tuned_full": 0.9366}
TEST = 1000
TASK = """
name: banking77
instruction: Name the intent of a bank customer's message.
inputs: [text]
output: {kind: label, column: label}
data: {train: train.csv, test: TEST_FILE, id: id, dev_share: 0.05}
methods: METHODS
settings:
  few_shot+fine_tune: {k: 4, max_seconds: 330, epochs: 1, batch_size: 16, learning_rate: 0.001, evaluations: 4}
"""


def write_split(source: Path, target: Path, keep: int | None, prefix: str) -> None:
    rows = list(csv.DictReader(source.open(encoding="utf-8")))
    order = np.random.default_rng(7).permutation(len(rows))[:keep] if keep else range(len(rows))
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "text", "label"])
        for i in sorted(order):
            writer.writerow([f"{prefix}{i}", rows[i]["text"], rows[i]["category"].replace("_", " ")])


def main() -> None:
    folder = need_datasets("banking77") / "banking77"
    work = work_folder("banking77")
    write_split(folder / "train.csv", work / "train.csv", None, "train")
    write_split(folder / "test.csv", work / "test-1000.csv", TEST, "test")
    write_split(folder / "test.csv", work / "test-full.csv", None, "test")
    methods = "[baseline, few_shot, few_shot+fine_tune]"
    (work / "task.yaml").write_text(TASK.replace("TEST_FILE", "test-1000.csv").replace("METHODS", methods))
    (work / "full.yaml").write_text(TASK.replace("TEST_FILE", "test-full.csv").replace("METHODS", "[baseline]"))
    with Screen() as screen:
        run = run_task(work / "task.yaml", watcher=screen)
    full = baseline_on_all(work, run)
    decision = run.read_decision()
    say(decision.reason.en)
    by_method = {standing.method: standing for standing in decision.standings}

    def figures(method: str, name: str) -> dict:
        standing = by_method[method]
        quality = standing.quality
        return {
            f"{name}_accuracy": round(quality.point, 4),
            f"{name}_interval": [round(quality.low, 4), round(quality.high, 4)],
            f"{name}_cost_per_1000": round(standing.cost_per_1000, 6),
            f"{name}_latency_p50": round(standing.latency_p50, 4),
        }

    summary = full.summaries["accuracy"]
    finish(
        "banking77",
        {"test_full": full.header.n, "test_sample": decision.n},
        baseline_accuracy=round(summary.value, 4),
        baseline_interval=[round(summary.low, 4), round(summary.high, 4)],
        **figures("baseline", "baseline_sample"),
        **figures("few_shot", "few_shot"),
        **figures("few_shot+fine_tune", "few_shot_fine_tune"),
        verdict=decision.verdict,
        winner=by_method_of(decision),
        reason=decision.reason.en,
        published=PUBLISHED,
        wall_seconds=run.read_run()["wall_seconds"],
        peak_memory_gib=run.read_run()["peak_memory_gib"],
    )


def by_method_of(decision) -> str | None:
    return next((s.method for s in decision.standings if s.candidate == decision.winner), None)


def baseline_on_all(work: Path, run: RunFolder):
    """The run's own baseline candidate on the whole official test split."""
    prepared = prepare(work / "full.yaml")
    candidate = next(name for name in run.candidates() if name.startswith("baseline"))
    opened = open_candidate(run.read_candidate(candidate), run.candidate_folder(candidate), run.indexes)
    full = RunFolder(work / "runs" / f"full-{prepared.hash}")
    full.path.mkdir(parents=True, exist_ok=True)
    split: Split = prepared.splits.test
    question = Question(candidate, "baseline", opened, split, prepared.examples["test"])
    return evaluate(full, question, [create("metric", "accuracy", task=prepared.task)])


if __name__ == "__main__":
    main()
