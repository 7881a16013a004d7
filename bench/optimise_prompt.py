"""The optimised prompt beside the plain one and few-shot, on the advice desk's label task with the embedded model.

DSPy's optimiser on the same model and call budget needs an OpenAI-compatible endpoint in front of the embedded model; there is none
in this repository yet, so the peer is named as not run.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from harness import ROOT, finish, say

from rung.cli.screen import Screen
from rung.experiment.run import run_task

CALLS = 600
TASK = f"""
name: optimise-prompt
instruction: Name the topic of a tenant's question to the advice desk.
inputs: [question]
output: {{kind: label, column: topic}}
data: {{examples: questions.csv, id: id, group: group}}
methods: [baseline, prompt, few_shot, optimise_prompt]
budget: {{probe: false}}
settings:
  optimise_prompt: {{calls: {CALLS}}}
"""
PEER = "not run: DSPy asks through an OpenAI-compatible endpoint, and nothing here serves the embedded model as one yet"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        shutil.copy(ROOT / "examples" / "tenants-desk" / "questions.csv", work)
        (work / "task.yaml").write_text(TASK)
        with Screen() as screen:
            run = run_task(work / "task.yaml", watcher=screen)
        decision = run.read_decision()
        outcomes = {outcome.cell.method: outcome for outcome in run.outcomes()}
    say(decision.reason.en)
    say(f"dspy: {PEER}")
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
        dspy=PEER,
    )


if __name__ == "__main__":
    main()
