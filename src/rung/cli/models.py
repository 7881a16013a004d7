"""`rung models compare`: which base model to build on, from the same dev questions to each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, RunsFolder, TaskFile, TaskLang
from rung.cli.spoken import asked_language, own_language, say
from rung.core.errors import BackendError

if TYPE_CHECKING:
    from rung.core.method import Progress
    from rung.core.task import Language
    from rung.experiment.selecting.select import Compared

models = typer.Typer(no_args_is_help=True, help="Compare base models before building on one.")


def compare_models(
    task: Path = Path("task.yaml"),
    *,
    models: Sequence[str] = (),
    questions: int = 50,
    weights: str = "",
    runs: Path | None = None,
    language: Language | None = None,
    started: Callable[[str], Progress] | None = None,
) -> Compared:
    """Compare base models on dev questions; write models.json and models.html, in both languages, into a folder of runs."""
    from rung.experiment.selecting.select import compare_models as compare
    from rung.experiment.selecting.select import parse_weights
    from rung.reporting.select import write_models

    shares = parse_weights(weights) if weights else None
    compared = compare(task, models=models, questions=questions, weights=shares, runs=runs, started=started)
    write_models(compared.selection, compared.folder, language or compared.selection.language)
    return compared


@models.command("compare")
def compare(
    task: TaskFile = commands.TASK_FILE,
    model: Annotated[
        list[str] | None,
        typer.Option(help="a model instead of those of task.yaml; again for more: smollm2-135m,precision=fp32"),
    ] = None,
    questions: Annotated[int, typer.Option(help="dev questions to ask at most", min=1)] = 50,
    weights: Annotated[
        str, typer.Option(help="what counts how much: quality=0.7,seconds=0.15,memory=0.15,money=0")
    ] = "",
    runs: RunsFolder = None,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Ask several models the same dev questions, and weigh quality against time, memory and money. Test stays closed.

    Example: **rung models compare task.yaml --model smollm2-135m --model other-model --questions 50**
    """
    from rung.cli.screen import Screen
    from rung.reporting.select import models_text

    language = asked_language(lang)
    with Screen(language or own_language()) as screen:
        compared = compare_models(
            task,
            models=model or (),
            questions=questions,
            weights=weights,
            runs=runs,
            language=language,
            started=screen.bar,
        )
    selection = compared.selection
    if json:
        print(commands.to_json(selection.model_dump(mode="json")))
    else:
        print(models_text(selection, language or selection.language), end="")
        say(str(compared.folder / "models.html"))
    if all(row.status == "failed" for row in selection.rows):
        raise typer.Exit(BackendError.exit_code)
