"""`rung ceilings` and `rung attack`: where answers from documents are lost, and how far a poisoned document steers them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, RunMaxCost, RunPath, TaskLang
from rung.cli.spoken import asked_language, own_language

if TYPE_CHECKING:
    from rung.core.method import Progress
    from rung.core.task import Language
    from rung.store.attack import Attack
    from rung.store.knowledge import Ceilings


def ceilings(
    run: Path = Path("runs"),
    *,
    questions: int | None = None,
    max_cost: float | None = None,
    progress: Progress | None = None,
    language: Language | None = None,
) -> Ceilings:
    """Tell finding from reading for every candidate of a run that reads documents, and keep it as `ceilings.json`.

    `questions`: at most so many are asked with the right passage in the prompt; 0: none, and no model is loaded. `max_cost`: money for
    endpoints over the whole run. The run's report is written anew. Test is not opened. Raises UsageError E2750 or E2751 where there is
    nothing to measure.
    """
    from rung.experiment.knowledge.measure import measure_run
    from rung.store.runs import RunFolder

    found = measure_run(run, questions=questions, max_cost=max_cost, progress=progress)
    commands.report(RunFolder.existing(run).path, language=language)
    return found


def attack(
    run: Path = Path("runs"),
    *,
    candidate: str = "",
    questions: int = 20,
    orders: Language | None = None,
    max_cost: float | None = None,
    progress: Progress | None = None,
    language: Language | None = None,
) -> Attack:
    """Measure how far poisoned documents steer a candidate's answers (the winner's by default), kept as `attacks/<candidate>.json`.

    `questions`: dev questions, each attacked with every kind of document. `orders`: the language that the planted documents are
    written in; the task's when absent. `max_cost`: money for endpoints over the whole run. The run's report is written anew; its index is
    not touched, and test is not opened. Raises UsageError E2750 or E2752 where no document can reach the candidate.
    """
    from rung.experiment.attacking.attack import Effort, attack_run
    from rung.store.runs import RunFolder

    effort = Effort(questions=questions)
    found = attack_run(run, candidate=candidate, effort=effort, language=orders, max_cost=max_cost, progress=progress)
    commands.report(RunFolder.existing(run).path, language=language)
    return found


def ceilings_command(
    run: RunPath = Path("runs"),
    questions: Annotated[
        int | None,
        typer.Option(help="dev questions to ask with the right passage shown, at most; 0: ask no model", min=0),
    ] = None,
    max_cost: RunMaxCost = None,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Find out where answers from documents are lost: not found, not shown, or not read right.

    A finished run has measured this already; test is not opened. Example: **rung ceilings runs/my-run**
    """
    from rung.cli.screen import Screen
    from rung.reporting.ceilings import ceilings_text

    asked = asked_language(lang)
    with Screen(asked or own_language()) as screen:
        found = ceilings(run, questions=questions, max_cost=max_cost, progress=screen.bar("ceilings"), language=asked)
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        print(ceilings_text(found, asked or commands.language_of(run)), end="")


def attack_command(
    run: RunPath = Path("runs"),
    candidate: Annotated[str, typer.Option(help="another candidate than the winner")] = "",
    questions: Annotated[int, typer.Option(help="dev questions to attack, at most", min=1)] = 20,
    orders: Annotated[
        str | None, typer.Option(help="language of the planted documents, en or zh; the task's when absent")
    ] = None,
    max_cost: RunMaxCost = None,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Measure how often a poisoned document steers an answer, by kind of attack, with and without defences.

    Documents are planted in a copy of the index, which is gone afterwards. Example: **rung attack runs/my-run**
    """
    from rung.cli.screen import Screen
    from rung.reporting.attack import attack_text

    asked = asked_language(lang)
    with Screen(asked or own_language()) as screen:
        found = attack(
            run,
            candidate=candidate,
            questions=questions,
            orders=asked_language(orders),
            max_cost=max_cost,
            progress=screen.bar("attack"),
            language=asked,
        )
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        print(attack_text(found, asked or commands.language_of(run)), end="")
