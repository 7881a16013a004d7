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
    "aftermath": "rung.cli.aftermath",
    **dict.fromkeys(("attack", "ceilings"), "rung.cli.knowledge"),
    "assess": "rung.cli.assess",
    "compare_models": "rung.cli.models",
    "mcp": "rung.cli.mcp",
    "monitor": "rung.cli.monitor",
    **dict.fromkeys(("list_keys", "new_key", "revoke_key"), "rung.cli.keys"),
    "serve": "rung.cli.serve",
    **dict.fromkeys(("erase_traffic", "prune_traffic"), "rung.cli.removal"),
    **dict.fromkeys(("canary", "promote", "rollback", "rounds", "shadow", "stop_trial"), "rung.cli.deploy"),
    **dict.fromkeys(("export_feedback", "list_feedback", "review_feedback"), "rung.cli.feedback"),
    "retrain": "rung.cli.retrain",
    "export": "rung.cli.export",
    **dict.fromkeys(("clean_data", "undo_data"), "rung.cli.data.clean"),
    "check_quality": "rung.cli.data.check",
    "find_copies": "rung.cli.data.duplicates",
    "forget": "rung.cli.data.forget",
    **dict.fromkeys(("find_personal_data", "mask_data", "unmask_data"), "rung.cli.data.privacy"),
    "data_health": "rung.cli.data.health",
    "data_read": "rung.cli.data.read",
    **dict.fromkeys(
        (
            "index_build",
            "index_update",
            "index_delete",
            "index_search",
            "index_versions",
            "index_rollback",
            "index_compact",
            "index_prune",
        ),
        "rung.cli.index",
    ),
    "draft_data": "rung.cli.data.draft",
    **dict.fromkeys(
        ("export_labels", "finish_labels", "import_labels", "label_agreement", "next_rows", "record_label"),
        "rung.cli.label_desk",
    ),
    **dict.fromkeys(("data_schema", "export_data", "import_data"), "rung.cli.data.convert"),
    **dict.fromkeys(("data_card", "data_diff", "data_log"), "rung.cli.data.versions"),
}
__all__ = [
    "Candidate",
    "Evaluation",
    "Method",
    "Model",
    "Task",
    "aftermath",
    "ask",
    "assess",
    "attack",
    "calibrate_judge",
    "canary",
    "ceilings",
    "check",
    "check_quality",
    "clean_data",
    "compare",
    "compare_models",
    "data_card",
    "data_diff",
    "data_health",
    "data_log",
    "data_read",
    "data_schema",
    "diagnose",
    "diagnose_recordings",
    "doctor",
    "draft_data",
    "erase_traffic",
    "export",
    "export_data",
    "export_feedback",
    "export_labels",
    "find_copies",
    "find_personal_data",
    "finish_labels",
    "forget",
    "import_data",
    "import_labels",
    "init",
    "judge_run",
    "label_agreement",
    "list_feedback",
    "list_keys",
    "list_parts",
    "mask_data",
    "mcp",
    "monitor",
    "new_key",
    "next_rows",
    "plan",
    "promote",
    "prune_traffic",
    "record_label",
    "report",
    "retrain",
    "review_feedback",
    "revoke_key",
    "rollback",
    "rounds",
    "run",
    "serve",
    "shadow",
    "show",
    "stability",
    "stop_trial",
    "undo_data",
    "unmask_data",
]

if TYPE_CHECKING:
    from rung.cli.aftermath import aftermath
    from rung.cli.assess import assess
    from rung.cli.commands import ask, check, compare, doctor, init, list_parts, plan, report, run, show
    from rung.cli.data.check import check_quality
    from rung.cli.data.clean import clean_data, undo_data
    from rung.cli.data.convert import data_schema, export_data, import_data
    from rung.cli.data.draft import draft_data
    from rung.cli.data.duplicates import find_copies
    from rung.cli.data.forget import forget
    from rung.cli.data.health import data_health
    from rung.cli.data.privacy import find_personal_data, mask_data, unmask_data
    from rung.cli.data.read import data_read
    from rung.cli.data.versions import data_card, data_diff, data_log
    from rung.cli.deploy import canary, promote, rollback, rounds, shadow, stop_trial
    from rung.cli.diagnosis import diagnose, stability
    from rung.cli.export import export
    from rung.cli.feedback import export_feedback, list_feedback, review_feedback
    from rung.cli.judge import calibrate_judge, judge_run
    from rung.cli.keys import list_keys, new_key, revoke_key
    from rung.cli.knowledge import attack, ceilings
    from rung.cli.label_desk import (
        export_labels,
        finish_labels,
        import_labels,
        label_agreement,
        next_rows,
        record_label,
    )
    from rung.cli.mcp import mcp
    from rung.cli.models import compare_models
    from rung.cli.monitor import monitor
    from rung.cli.removal import erase_traffic, prune_traffic
    from rung.cli.retrain import retrain
    from rung.cli.serve import serve
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
