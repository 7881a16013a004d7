"""The optimised prompt beside the plain one, few-shot, and DSPy's optimisers, on the advice desk's label task, embedded model.

DSPy runs in an environment of its own, whose Python RUNG_DSPY_PYTHON names (`pip install dspy optuna` there); it asks the same weights
through an endpoint on loopback, with about the same number of calls for its search. Unset, DSPy is named as not run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from endpoint import serving
from harness import ROOT, finish, say

from rung.cli.screen import Screen
from rung.core.model import ModelRef
from rung.core.registry import find
from rung.experiment.run import run_task
from rung.stats.intervals import wilson
from rung.store.runs import RunFolder

CALLS = 300
INSTRUCTION = "Name the topic of a tenant's question to the advice desk."
TASK = f"""
name: optimise-prompt
instruction: {INSTRUCTION}
inputs: [question]
output: {{kind: label, column: topic}}
data: {{examples: questions.csv, id: id, group: group}}
methods: [baseline, prompt, few_shot, optimise_prompt]
budget: {{probe: false}}
settings:
  optimise_prompt: {{calls: {CALLS}}}
"""
PYTHON = "RUNG_DSPY_PYTHON"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.copy(ROOT / "examples" / "tenants-desk" / "questions.csv", work)
        (work / "task.yaml").write_text(TASK)
        with Screen() as screen:
            run = run_task(work / "task.yaml", watcher=screen)
        decision = run.read_decision()
        outcomes = {outcome.cell.method: outcome for outcome in run.outcomes()}
        peer = dspy(run)
    say(decision.reason.en)
    say(f"dspy: {peer}")
    quality = {
        s.method: [round(v, 4) for v in (s.quality.point, s.quality.low, s.quality.high)] for s in decision.standings
    }
    finish(
        "optimise_prompt",
        decision.n,
        **{f"{method}_accuracy": values for method, values in quality.items()},
        **{f"{method}_seconds": round(outcome.spent.seconds, 1) for method, outcome in outcomes.items()},
        calls=CALLS,
        race=outcomes["optimise_prompt"].notes.get("race"),
        written=outcomes["optimise_prompt"].notes.get("written"),
        demonstrations=outcomes["optimise_prompt"].notes.get("demonstrations"),
        dspy=peer,
    )


def dspy(run: RunFolder) -> dict[str, Any] | str:
    """Accuracy of DSPy's optimised program on the run's test questions; an answer that it cannot read is not right."""
    python = os.environ.get(PYTHON)
    if not python:
        return f"not run: {PYTHON} names no environment that has dspy and optuna"
    rows = {name: [(e.text, e.references[0]) for e in run.read_examples(name)] for name in ("train", "dev", "test")}
    labels = sorted({label for part in rows.values() for _, label in part})
    asked = {name: rows[name] for name in ("train", "dev")} | {
        "instruction": INSTRUCTION,
        "labels": labels,
        "test": [question for question, _ in rows["test"]],
        "calls": CALLS,
        "max_tokens": 64,
    }
    started = time.perf_counter()
    with serving(find("model", "transformers").open(ModelRef(kind="transformers", id="smollm2-135m"))) as endpoint:
        asked["url"] = endpoint.url
        done = subprocess.run(
            [python, str(Path(__file__).with_name("dspy_peer.py"))],
            input=json.dumps(asked),
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
            check=True,
        )
        calls = endpoint.calls
    said = json.loads(done.stdout.splitlines()[-1])
    right = sum(topic == label for topic, (_, label) in zip(said["topics"], rows["test"], strict=True))
    found = wilson(right, len(rows["test"]))
    return {
        "optimiser": said["optimiser"],
        "reason": said["reason"],
        "accuracy": [round(v, 4) for v in (right / len(rows["test"]), found.low, found.high)],
        "unreadable": sum(topic is None for topic in said["topics"]),
        "search_calls": said["calls"],
        "all_calls": calls,
        "seconds": round(time.perf_counter() - started, 1),
        "instruction": said["instruction"],
        "demonstrations": said["demos"],
    }


if __name__ == "__main__":
    main()
