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
}
__all__ = [
    "Candidate",
    "Evaluation",
    "Method",
    "Model",
    "Task",
    "ask",
    "check",
    "compare",
    "doctor",
    "init",
    "list_parts",
    "plan",
    "report",
    "run",
    "show",
]

if TYPE_CHECKING:
    from rung.cli.commands import ask, check, compare, doctor, init, list_parts, plan, report, run, show
    from rung.core.candidate import Candidate
    from rung.core.evaluation import Evaluation
    from rung.core.method import Method
    from rung.core.model import Model
    from rung.core.task import Task


def __getattr__(name: str) -> Any:
    # Loaded when asked for, so that `import rung` and `rung --help` stay quick.
    if name not in _WHERE:
        raise AttributeError(f"module 'rung' has no attribute '{name}'")
    return getattr(importlib.import_module(_WHERE[name]), name)
