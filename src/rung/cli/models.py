"""`rung models compare`: which base model to build on, from the same dev questions to each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.core.task import Language

if TYPE_CHECKING:
    from rung.core.method import Progress
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
    task: Annotated[Path, typer.Argument(help="the task file", metavar="TASK.YAML")] = Path("task.yaml"),
    model: Annotated[
        list[str] | None,
        typer.Option(help="a model instead of those of task.yaml; again for more: smollm2-135m,precision=fp32"),
    ] = None,
    questions: Annotated[int, typer.Option(help="dev questions to ask at most", min=1)] = 50,
    weights: Annotated[
        str, typer.Option(help="what counts how much: quality=0.7,seconds=0.15,memory=0.15,money=0")
    ] = "",
    runs: Annotated[Path | None, typer.Option(help="folder of runs; runs/ beside the task when absent")] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="en or zh; the task's language when absent")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON for programs")] = False,
) -> None:
    """Ask several models the same dev questions, and weigh quality against time, memory and money. Test stays closed.

    Example: **rung models compare task.yaml --model smollm2-135m --model other-model --questions 50**
    """
    from rung.cli import commands
    from rung.cli.main import _spoken, language, say
    from rung.cli.screen import Screen
    from rung.reporting.select import models_text
    from rung.store.records import Cell

    spoken = _spoken(lang)
    with Screen(spoken or language()) as screen:
        compared = compare_models(
            task,
            models=model or (),
            questions=questions,
            weights=weights,
            runs=runs,
            language=spoken,
            started=lambda name: screen.started(Cell(method=name, model="-", rank=0)),
        )
    if json:
        print(commands.to_json(compared.selection.model_dump(mode="json")))
        return
    print(models_text(compared.selection, spoken or compared.selection.language), end="")
    say(str(compared.folder / "models.html"))
