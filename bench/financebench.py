"""FinanceBench's recorded answers, labelled by people: does the verdict separate what the labels separate, and call ties ties?

GPT-4's twelve configurations on the same 150 questions, compared through `rung compare`. `agree`: share of the 66 pairs on which our
simultaneous intervals and Holm-corrected exact McNemar tests on the same labels say the same.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from itertools import combinations
from pathlib import Path

import numpy as np
from harness import finish, need_datasets, say

from rung.cli.commands import compare
from rung.experiment.compare import Columns
from rung.stats.paired import mcnemar


def main() -> None:
    source = need_datasets("rag_financebench") / "rag_financebench" / "human_labelled_answers.jsonl.gz"
    rows = [json.loads(line) for line in gzip.open(source, "rt", encoding="utf-8").read().split("\n") if line]
    runs = sorted({row["run"] for row in rows if row["run"].startswith("gpt-4")})
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for run in runs:
            path = Path(folder) / f"{run}.jsonl"
            mine = [row for row in rows if row["run"] == run]
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in mine), "utf-8")
            files.append(path)
        columns = Columns(
            id="financebench_id", answer="model_answer", reference="gold_answer", label="label", right="Correct Answer"
        )
        decision = compare(files, columns=columns, runs=Path(folder) / "runs").read_decision()
    names = {standing.candidate: standing.model for standing in decision.standings}
    ours = {
        frozenset((names[p.candidate], names[p.other])): p.difference.low > 0 or p.difference.high < 0
        for p in decision.pairs
    }
    theirs = labels_alone(rows, runs)
    agree = sum(ours[pair] == theirs[pair] for pair in ours)
    apart = [sorted(pair) for pair in ours if ours[pair] != theirs[pair]]
    say(decision.reason.en)
    finish(
        "financebench",
        {"questions": decision.n, "systems": len(runs), "pairs": len(ours)},
        agree=round(agree / len(ours), 4),
        separated=sum(ours.values()),
        separated_by_labels=sum(theirs.values()),
        ties=sum(not split for split in ours.values()),
        disagreements=apart,
        verdict=decision.verdict,
        accuracy={s.model: round(s.quality.point, 4) for s in decision.standings},
        published={
            run: round(sum(r["label"] == "Correct Answer" for r in rows if r["run"] == run) / 150, 4) for run in runs
        },
        reason=decision.reason.en,
    )


def labels_alone(rows: list[dict], runs: list[str]) -> dict[frozenset, bool]:
    """Holm-corrected exact McNemar tests over all pairs, straight from the labels."""
    right = {
        run: {r["financebench_id"]: r["label"] == "Correct Answer" for r in rows if r["run"] == run} for run in runs
    }
    ids = sorted(right[runs[0]])
    values = {
        frozenset(pair): mcnemar(*(np.array([right[run][i] for i in ids]) for run in pair)).exact
        for pair in combinations(runs, 2)
    }
    ordered = sorted(values, key=values.get)
    found, rejecting = {}, True
    for k, pair in enumerate(ordered):
        rejecting = rejecting and values[pair] <= 0.05 / (len(ordered) - k)
        found[pair] = rejecting
    return found


if __name__ == "__main__":
    main()
