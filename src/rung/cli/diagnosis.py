"""`rung diagnose` and `rung stability`: what errors lack, and whether the answer stays the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, RunMaxCost, RunPath, RunsFolder, TaskLang
from rung.cli.spoken import asked_language, own_language

if TYPE_CHECKING:
    from rung.core.method import Progress
    from rung.core.task import Language
    from rung.store.diagnosis import Diagnosis, Stability
    from rung.store.runs import RunFolder


def diagnose(
    source: Path = Path("task.yaml"),
    *,
    arms: Mapping[str, Path] | None = None,
    questions: int = 100,
    model: str = "",
    runs: Path | None = None,
    max_cost: float | None = None,
    progress: Progress | None = None,
    language: Language | None = None,
) -> Diagnosis:
    """Find what a task's errors lack, knowledge or form, and keep it as `diagnosis.json` in the run folder.

    `source`: a task file, a run, or a folder of runs. `arms`: files of recorded answers by arm (plain, control, gold,
    format, both, or a name of your own for a retrieval system); with them, or with `arms` in task.yaml, no model is asked.
    `max_cost`: money for endpoints over the whole run, in place of budget.max_cost. A run's report is written anew.
    """
    from rung.experiment.diagnosing.diagnose import diagnose_task

    run = diagnose_task(
        source, runs=runs, questions=questions, model=model, arms=arms, max_cost=max_cost, progress=progress
    )
    found = run.read_diagnosis()
    assert found is not None
    _report(run, language)
    return found


def stability(
    run: Path = Path("runs"),
    *,
    candidate: str = "",
    repeats: int = 5,
    questions: int = 50,
    paraphrases: Path | None = None,
    column: str = "paraphrase",
    max_cost: float | None = None,
    progress: Progress | None = None,
    language: Language | None = None,
) -> Stability:
    """Measure whether a candidate (the winner by default) answers the same when dev questions are asked otherwise.

    `repeats`: how often the very same is asked. `paraphrases`: a CSV or JSONL file with other wordings in `column`, and
    an `id` or the question as it stands. `max_cost`: as for `diagnose`. Kept as `stability.json`; the run's report is written anew.
    """
    from rung.experiment.diagnosing.probes import Effort
    from rung.experiment.diagnosing.stability import Paraphrases, measure_run

    folder = measure_run(
        run,
        candidate=candidate,
        effort=Effort(questions=questions, repeats=repeats),
        paraphrases=Paraphrases(paraphrases, column) if paraphrases else None,
        max_cost=max_cost,
        progress=progress,
    )
    found = folder.read_stability()
    assert found is not None
    _report(folder, language)
    return found


def _report(run: RunFolder, language: Language | None) -> None:
    """A diagnosis may come before the run: then there is nothing to report yet."""
    if (run.path / "run.yaml").is_file():
        commands.report(run.path, language=language)


def diagnose_command(
    source: Annotated[
        Path, typer.Argument(help="a task file, a run, or a folder of runs", metavar="TASK.YAML|RUN")
    ] = commands.TASK_FILE,
    questions: Annotated[int, typer.Option(help="dev questions to ask, at most", min=10)] = 100,
    model: Annotated[str, typer.Option(help="one of several models; the first when absent")] = "",
    runs: RunsFolder = None,
    max_cost: RunMaxCost = None,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Find out what the errors lack: knowledge, or the form of an answer.

    Dev questions are asked alone, twice; with the passage that holds the answer; with examples of the form; and with both.
    Recorded answers, named under `arms` in task.yaml, take the place of a model.

    Example: **rung diagnose task.yaml --questions 60**
    """
    from rung.cli.screen import Screen
    from rung.reporting.diagnosis import diagnosis_text

    language = asked_language(lang)
    with Screen(language or own_language()) as screen:
        progress = screen.bar("diagnose")
        found = diagnose(
            source,
            questions=questions,
            model=model,
            runs=runs,
            max_cost=max_cost,
            progress=progress,
            language=language,
        )
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        print(diagnosis_text(found, language or commands.language_of(source)), end="")


def stability_command(
    run: RunPath = Path("runs"),
    candidate: Annotated[str, typer.Option(help="another candidate than the winner")] = "",
    repeats: Annotated[int, typer.Option(help="how often the very same is asked", min=1)] = 5,
    questions: Annotated[int, typer.Option(help="dev questions to ask, at most", min=1)] = 50,
    paraphrases: Annotated[Path | None, typer.Option(help="file with other wordings that people wrote")] = None,
    column: Annotated[str, typer.Option(help="column of that file that holds the wording")] = "paraphrase",
    max_cost: RunMaxCost = None,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Measure whether a candidate answers the same when dev questions are asked again, in other words and forms.

    Example: **rung stability runs/my-run --paraphrases wordings.csv**
    """
    from rung.cli.screen import Screen
    from rung.reporting.stability import stability_text

    language = asked_language(lang)
    with Screen(language or own_language()) as screen:
        found = stability(
            run,
            candidate=candidate,
            repeats=repeats,
            questions=questions,
            paraphrases=paraphrases,
            column=column,
            max_cost=max_cost,
            progress=screen.bar("stability"),
            language=language,
        )
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        print(stability_text(found, language or commands.language_of(run)), end="")
