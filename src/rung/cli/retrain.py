"""`rung retrain`: the champion's ladder once more, with what traffic has taught, and whether the new winner may take over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.deploy import ServedRun, show_contest
from rung.cli.options import AsJson, RunMaxCost, TaskLang
from rung.cli.spoken import asked_language, own_language, say, spoken
from rung.cli.traffic import StateFolder
from rung.core.errors import TargetNotMet

if TYPE_CHECKING:
    from rung.experiment.session import Watcher
    from rung.store.rounds import Proposal


def retrain(
    run: Path,
    *,
    data: str | None = None,
    task_folder: Path | None = None,
    max_cost: float | None = None,
    max_hours: float | None = None,
    devices: int | None = None,
    on: str | None = None,
    state: Path | None = None,
    watcher: Watcher | None = None,
) -> Proposal:
    """Run the ladder again on the examples that `export_feedback` has written, and hold the new winner against the champion.

    `data`: another data set, as FOLDER or FOLDER@VERSION. `task_folder`: where the task's documents and models are looked for; the
    folder above the runs when absent. The new winner is promoted only where it passes and task.yaml says so. Raises UsageError E7126,
    DataError E7127, and as `run`.
    """
    from rung.experiment.limits import Limits
    from rung.experiment.next_round.retrain import retrain as retrained
    from rung.store.deployment import Deployment

    deployment = Deployment.at(run, state)
    limits = Limits(max_cost, max_hours, devices, on)
    found = retrained(deployment, data=data, task_folder=task_folder, limits=limits, watcher=watcher)
    commands.report(deployment.run / found.run)
    return found


def retrain_command(
    run: ServedRun,
    data: Annotated[
        str | None,
        typer.Option(help="another data set, as FOLDER@VERSION; what rung feedback export wrote when absent"),
    ] = None,
    task_folder: Annotated[
        Path | None,
        typer.Option(help="where the task's documents and models lie; the folder above the runs when absent"),
    ] = None,
    max_cost: RunMaxCost = None,
    max_hours: Annotated[float | None, typer.Option(help="wall-clock hours, over the whole run")] = None,
    devices: Annotated[int | None, typer.Option(help="processes on this machine that share each training")] = None,
    on: Annotated[str | None, typer.Option(help="'ray', or a cluster's ray://HOST:PORT")] = None,
    state: StateFolder = None,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Run the whole ladder again with the examples from traffic, on the same test questions.

    The new winner is then held against the champion, question by question. **rung promote** serves it; nothing is served by this
    command itself, unless task.yaml says serving: auto_promote. The exit code is 6 where the new winner does not pass.

    Example: **rung retrain runs/desk-1a2b3c4d --max-hours 8**
    """
    from rung.cli.screen import Screen

    language = asked_language(lang) or own_language()
    with Screen(language) as screen:
        found = retrain(
            run,
            data=data,
            task_folder=task_folder,
            max_cost=max_cost,
            max_hours=max_hours,
            devices=devices,
            on=on,
            state=state,
            watcher=screen,
        )
    passed = found.contest is not None and found.contest.passed
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        added = ", ".join(f"{name} +{n}" for name, n in found.added.items())
        say(spoken("retrain.made", language, run=found.run, data=found.data, added=added or "0"))
        if found.rounds > 1:
            say(spoken("retrain.rounds", language, n=found.rounds))
        if found.contest is not None:
            show_contest(found.contest, language)
        told = "promoted" if found.promoted else "passed" if passed else "held" if found.candidate else "no_winner"
        say(spoken(f"retrain.{told}", language, run=run, new=found.run))
        print(found.candidate)
    if not passed:
        raise typer.Exit(TargetNotMet.exit_code)
