"""Arguments and options that several commands share, each written and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TaskFile = Annotated[Path, typer.Argument(help="the task file", metavar="TASK.YAML")]
RunPath = Annotated[Path, typer.Argument(help="a run folder, or a folder of runs: the newest", metavar="RUN")]
RunsFolder = Annotated[Path | None, typer.Option(help="folder of runs; runs/ beside the task when absent")]
TaskLang = Annotated[str | None, typer.Option("--lang", help="en or zh; the task's language when absent")]
OwnLang = Annotated[str | None, typer.Option("--lang", help="en or zh; your own language when absent")]
JudgeFile = Annotated[Path, typer.Option("--judge", help="task.yaml with a judge block, or a judge.yaml of its own")]
LicenceFile = Annotated[
    Path | None,
    typer.Option("--licence", help="the judge's licence, from rung judge calibrate; ./judge.json when absent"),
]
RunMaxCost = Annotated[
    float | None, typer.Option("--max-cost", help="money for endpoints, over the whole run; instead of budget.max_cost")
]
CallMaxCost = Annotated[
    float | None,
    typer.Option("--max-cost", help="money for the judge's endpoint in this call; instead of its budget.max_cost"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
SeenBy = Annotated[
    str | None,
    typer.Option(help="labels of the one who asks, with commas; '' for none; everything may be seen when absent"),
]


def labels_in(text: str | None) -> frozenset[str] | None:
    """Labels between commas; None where nothing was said."""
    return None if text is None else frozenset(label.strip() for label in text.split(",") if label.strip())
