"""Rung finds the cheapest way to make a language model good enough at one job, and proves it on held-out questions.

A Method adapts a Model to a Task and yields a Candidate; answering held-out examples yields an Evaluation; the decision
reads evaluations and names a winner. Every command of the command line is a function of the same name here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_WHERE = {
    "Task": "rung.core.task",
    "Model": "rung.core.model",
    "Method": "rung.core.method",
    "Candidate": "rung.core.candidate",
    "Evaluation": "rung.core.evaluation",
    **dict.fromkeys(
        ("init", "check", "plan", "run", "report", "show", "ask", "compare", "list_parts", "doctor"),
        "rung.cli.commands",
    ),
    **dict.fromkeys(("diagnose", "stability"), "rung.cli.diagnosis"),
    **dict.fromkeys(("calibrate_judge", "judge_run"), "rung.cli.judge"),
    "diagnose_recordings": "rung.experiment.diagnosing.recorded_arms",
    "assess": "rung.cli.assess",
    "compare_models": "rung.cli.models",
    **dict.fromkeys(("data_card", "data_diff", "data_log"), "rung.cli.data.versions"),
}
__all__ = [
    "Candidate",
    "Evaluation",
    "Method",
    "Model",
    "Task",
    "ask",
    "assess",
    "calibrate_judge",
    "check",
    "compare",
    "compare_models",
    "data_card",
    "data_diff",
    "data_log",
    "diagnose",
    "diagnose_recordings",
    "doctor",
    "init",
    "judge_run",
    "list_parts",
    "plan",
    "report",
    "run",
    "show",
    "stability",
]

if TYPE_CHECKING:
    from rung.cli.assess import assess
    from rung.cli.commands import ask, check, compare, doctor, init, list_parts, plan, report, run, show
    from rung.cli.data.versions import data_card, data_diff, data_log
    from rung.cli.diagnosis import diagnose, stability
    from rung.cli.judge import calibrate_judge, judge_run
    from rung.cli.models import compare_models
    from rung.core.candidate import Candidate
    from rung.core.evaluation import Evaluation
    from rung.core.method import Method
    from rung.core.model import Model
    from rung.core.task import Task
    from rung.experiment.diagnosing.recorded_arms import diagnose_recordings


def __getattr__(name: str) -> Any:
    # Loaded when asked for, so that `import rung` and `rung --help` stay quick.
    if name not in _WHERE:
        raise AttributeError(f"module 'rung' has no attribute '{name}'")
    return getattr(importlib.import_module(_WHERE[name]), name)
