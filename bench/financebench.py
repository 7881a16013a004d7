"""FinanceBench's recorded answers, labelled by people: does the verdict separate what the labels separate, and call ties ties?

GPT-4's twelve configurations on the same 150 questions, compared through `rung compare`. `agree`: share of the 66 pairs on which our
simultaneous intervals and Holm-corrected exact McNemar tests on the same labels say the same.

Then a diagnosis of either model from the same recordings, questions about one filing together: closed book is the plain arm,
the oracle (the evidence pages in the prompt) the gold arm, shared and single store are retrieval systems. Nobody recorded a control or
examples of the form, so that axis must be "context" and `behaviour` "not_identified".
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from harness import finish, need_datasets, read_rows, say

from rung.cli.commands import compare
from rung.experiment.comparing.compare import Columns
from rung.experiment.diagnosing.recorded_arms import ArmColumns, diagnose_recordings
from rung.stats.paired import mcnemar
from rung.store.diagnosis import Diagnosis

ARMS = {"plain": "closedBook", "gold": "oracle", "shared_store": "sharedStore", "single_store": "singleStore"}
MODELS = ("gpt-4-1106-preview", "gpt-4")


def main() -> None:
    source = need_datasets("rag_financebench") / "rag_financebench" / "human_labelled_answers.jsonl.gz"
    rows = read_rows(source)
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
        diagnoses = {model: diagnosed(model, rows, filings(source.parent), Path(folder)) for model in MODELS}
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
        axis=one_of(found.axis for found in diagnoses.values()),
        behaviour=one_of(found.behaviour for found in diagnoses.values()),
        diagnosis={model: told(found) for model, found in diagnoses.items()},
    )


def filings(folder: Path) -> dict[str, str]:
    """The filing that each question is about."""
    return {row["financebench_id"]: row["doc_name"] for row in read_rows(folder / "financebench_open_source.jsonl.gz")}


def diagnosed(model: str, rows: list[dict], filing: dict[str, str], folder: Path) -> Diagnosis:
    arms = {}
    for arm, run in ARMS.items():
        arms[arm] = folder / f"arm-{model}-{arm}.jsonl"
        mine = [row | {"filing": filing[row["financebench_id"]]} for row in rows if row["run"] == f"{model}_{run}"]
        arms[arm].write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in mine), "utf-8")
    columns = ArmColumns(
        id="financebench_id",
        answer="model_answer",
        reference="gold_answer",
        group="filing",
        label="label",
        right="Correct Answer",
        refused="Refusal",
    )
    found = diagnose_recordings(arms, columns=columns, name=model)
    say(f"{model}: {found.reason.en} {found.advice.en}")
    return found


def one_of(values: Iterable[str]) -> str:
    """What both models' diagnoses say; both, where they differ."""
    return " / ".join(dict.fromkeys(values))


def told(found: Diagnosis) -> dict[str, Any]:
    """The arms with their outcomes, and their effects in shares of the questions."""
    return {
        "axis": found.axis,
        "context": found.context,
        "behaviour": found.behaviour,
        "groups": found.groups,
        "arms": {
            arm.name: {"right": arm.right, "wrong": arm.wrong, "refused": arm.refused}
            for arm in found.arms
            if arm.source != "missing"
        },
        "effects": {
            effect.arm: {
                "effect": round(effect.effect.point, 4),
                "low": round(effect.effect.low, 4),
                "high": round(effect.effect.high, 4),
                "fixed": effect.fixed,
                "broken": effect.broken,
                "n": effect.n,
            }
            for effect in found.effects
        },
        "errors_right_with_gold": {r.name: [r.fixed_by_gold, r.errors] for r in found.retrieval},
    }


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
