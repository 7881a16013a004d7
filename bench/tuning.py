"""Every kind of tuning on real data, at a size that two cores finish: each rung with its intervals on test, beside the plain prompt.

    python bench/tuning.py [NAME ...]      all without names; a result for each in bench/results/tuning-NAME.json

The embedded model is small and was taught hardly any Chinese: where it cannot, the figures say so. `rungs`: by method, every metric with
its 95 % interval, and how the training ended; a rung whose two minutes ended it says `budget`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import finish, say
from tuning_tasks import TASKS

SHORT = {"evaluations": 3, "max_seconds": 120.0}
"""Two minutes for each training: what a row of the table costs on two cores."""
PLAN: dict[str, tuple[dict[str, Any], list[str], dict[str, Any]]] = {
    # sizes, rungs, settings
    "banking77": (
        {"train": 385, "test": 100},
        ["baseline", "contrastive_labels", "fine_tune", "fine_tune-dora", "fine_tune-full", "soft_prompt"],
        {"fine_tune": SHORT, "soft_prompt": SHORT},
    ),
    "cluener": ({"train": 300, "test": 60}, ["prompt", "fine_tune"], {"fine_tune": SHORT}),
    "gsm8k": (
        {"train": 120, "test": 30},
        ["prompt", "fine_tune", "fine_tune+reinforce"],
        {"fine_tune": SHORT, "reinforce": {"max_steps": 6, "evaluations": 1, "max_seconds": 120.0}},
    ),
    "dpo-zh": ({"rows": 60}, ["fine_tune", "fine_tune+preference"], {"fine_tune": SHORT, "preference": SHORT}),
    "kto-en": ({"rows": 90}, ["prompt", "preference-kto"], {"preference": SHORT}),
    "ntrex-zh-en": ({"rows": 160}, ["prompt", "fine_tune"], {"fine_tune": SHORT}),
    "alpaca-zh": ({"rows": 140}, ["prompt", "fine_tune"], {"fine_tune": SHORT}),
    "xquad-en": ({}, ["rag", "rag+fine_tune", "rag+fine_tune-aware"], {"rag+fine_tune": SHORT}),
    "clauses-en": ({}, ["prompt", "fine_tune"], {"fine_tune": SHORT}),
    "desk-dialogue": ({}, ["prompt", "fine_tune", "soft_prompt-p_tuning"], {"fine_tune": SHORT}),
}


def measure(name: str, folder: Path) -> None:
    from rung.cli.screen import Screen
    from rung.experiment.run import run_task

    sizes, methods, settings = PLAN[name]
    # Each block of its own: YAML would write the same one twice as an alias.
    blocks = {method: dict(block) for method, block in settings.items()}
    more = {"methods": methods, "settings": blocks, "budget": {"probe": False, "aftermath": False}}
    built = TASKS[name](folder / name, **sizes, more=more)
    with Screen() as screen:
        run = run_task(built.task, compare_all=True, watcher=screen)
    decision = run.read_decision()
    assert decision is not None
    rungs: dict[str, Any] = {}
    for cell in run.read_plan().cells:
        outcome = run.read_outcome(cell)
        if outcome is None or outcome.status != "done":
            rungs[cell.method] = {
                "status": outcome.status if outcome else "blocked",
                "reason": outcome.reason if outcome else "",
            }
            continue
        found = run.read_evaluation(outcome.candidate, "test").summaries
        rungs[cell.method] = {
            **{metric: [_rounded(value) for value in (s.value, s.low, s.high)] for metric, s in found.items()},
            "seconds": round(outcome.spent.seconds),
            **{key: outcome.notes[key] for key in ("stopped", "converged") if key in outcome.notes},
        }
    finish(
        f"tuning-{name}",
        {**run.read_plan().splits, "too_long": built.left_out},
        verdict=decision.verdict,
        reason=decision.reason.en,
        rungs=rungs,
        command=f"python bench/tuning.py {name}",
        size=built.reason,
    )


def _rounded(value: float | None) -> float | None:
    """None where no answer could be scored: a model that writes no JSON at all has no F1."""
    return None if value is None else round(value, 4)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or PLAN:
            say(f"== {name}")
            measure(name, Path(folder))


if __name__ == "__main__":
    main()
