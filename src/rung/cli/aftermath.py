"""`rung aftermath`: what tuning cost besides the task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, RunPath, TaskLang
from rung.cli.spoken import asked_language, own_language

if TYPE_CHECKING:
    from rung.core.method import Progress
    from rung.core.task import Language
    from rung.store.aftermath import Aftermath


def aftermath(
    run: Path = Path("runs"),
    *,
    candidate: str = "",
    general: int = 200,
    rows: int = 100,
    train: int = 150,
    progress: Progress | None = None,
    language: Language | None = None,
) -> Aftermath:
    """Measure what tuning cost a candidate (the winner by default): forgetting, unseen cases, overfitting, memorising.

    `general`: questions outside the task, asked before and after. `rows`: training rows whose beginning is shown. `train`:
    training questions that are asked as they stand. Kept as `aftermath/<candidate>.json`; the run's report is written anew.
    Test is not opened. Raises UsageError E4700, E4701 or E4702 where there is no tuned candidate, or more than one.
    """
    from rung.experiment.aftermath.measure import Effort, measure_run
    from rung.store.runs import RunFolder

    effort = Effort(general=general, rows=rows, train=train)
    found = measure_run(run, candidate=candidate, effort=effort, progress=progress)
    commands.report(RunFolder.existing(run).path, language=language)
    return found


def aftermath_command(
    run: RunPath = Path("runs"),
    candidate: Annotated[str, typer.Option(help="another tuned candidate than the winner")] = "",
    general: Annotated[int, typer.Option(help="questions outside the task, at most 200", min=1)] = 200,
    rows: Annotated[int, typer.Option(help="training rows whose beginning is shown", min=0)] = 100,
    train: Annotated[int, typer.Option(help="training questions asked as they stand", min=0)] = 150,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Measure what tuning cost: what was forgotten, overfitted and memorised, and how unseen cases do.

    Test is not opened. Example: **rung aftermath runs/my-run**
    """
    from rung.cli.screen import Screen
    from rung.reporting.aftermath import aftermath_text

    asked = asked_language(lang)
    with Screen(asked or own_language()) as screen:
        found = aftermath(
            run,
            candidate=candidate,
            general=general,
            rows=rows,
            train=train,
            progress=screen.bar("aftermath"),
            language=asked,
        )
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        print(aftermath_text(found, asked or found.language), end="")
