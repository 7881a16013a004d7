"""`rung assess`: whether a task is worth trying, which rungs first, what is missing, and what it would take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, TaskLang
from rung.cli.spoken import asked_language, say
from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.store.assessment import Assessment

FORMATS = (".html", ".md", ".json")


def assess(
    task: Path = Path("task.yaml"),
    *,
    answers: Path | None = None,
    said: Sequence[str] = (),
    documents: Path | None = None,
    measure: bool = False,
) -> Assessment:
    """Study a task.yaml, or a file of examples as `rung init` would read it.

    `answers`: the questionnaire; assess.yaml beside the task where there is one. `said`: 'name=value' over it. Raises
    UsageError E1305 for a file that is not there, E4410 and E4411 for answers that are none.
    """
    from rung.config.questionnaire import FILE, read_questionnaire
    from rung.data.table import SUFFIXES
    from rung.experiment.assessing.assess import assess_task

    beside = task.parent / FILE
    questions = read_questionnaire(answers or (beside if beside.is_file() else None), said)
    name = task.with_suffix("") if task.suffix == ".gz" else task
    if name.suffix.lower() not in SUFFIXES:
        return assess_task(task, questions, measure=measure)
    with TemporaryDirectory() as folder:
        return assess_task(_proposed(task, documents, Path(folder)), questions, measure=measure)


def _proposed(examples: Path, documents: Path | None, folder: Path) -> Path:
    """The task.yaml that `rung init` would write, in a folder of its own."""
    from rung.config import propose_config
    from rung.core.durable import write_text
    from rung.data.table import read_table

    if not examples.is_file():
        raise UsageError("E1305", path=examples)
    table = read_table(examples, limit=2000)
    found = documents or commands.documents_beside(examples)
    text = propose_config(table.columns, table.rows, str(found.resolve()) if found else None, str(examples.resolve()))
    write_text(folder / "task.yaml", text)
    return folder / "task.yaml"


def init_assess(folder: Path = Path(), *, force: bool = False) -> Path:
    """Write an empty questionnaire with a comment on every line, in both languages. Raises UsageError E1306 where it is there."""
    from rung.config.questionnaire import FILE, blank_questionnaire
    from rung.core.durable import write_text

    path = folder / FILE
    if path.exists() and not force:
        raise UsageError("E1306", path=path)
    write_text(path, blank_questionnaire())
    return path


def write_assessment(assessment: Assessment, out: Path, language: Language) -> list[Path]:
    """The study as a page, Markdown or JSON, by the ending of `out`; page and Markdown in the other language beside it.

    Raises UsageError E4412 for another ending.
    """
    from rung.core.durable import write_json, write_text
    from rung.reporting.assess import assessment_markdown, assessment_page
    from rung.reporting.page import in_both

    if out.suffix not in FORMATS:
        raise UsageError("E4412", value=out.suffix or out.name)
    if out.suffix == ".json":
        write_json(out, assessment.model_dump(mode="json"))
        return [out]
    made = assessment_page if out.suffix == ".html" else assessment_markdown
    paths = in_both(out, language)
    for spoken, path in paths.items():
        write_text(path, made(assessment, spoken))
    return list(paths.values())


def assess_command(
    task: Annotated[Path, typer.Argument(help="the task file, or a file of examples", metavar="TASK.YAML")] = Path(
        "task.yaml"
    ),
    init: Annotated[bool, typer.Option("--init", help="write assess.yaml, the questionnaire, and stop")] = False,
    force: Annotated[bool, typer.Option(help="with --init: write over an existing assess.yaml")] = False,
    answers: Annotated[
        Path | None, typer.Option(help="the questionnaire; assess.yaml beside the task when absent")
    ] = None,
    said: Annotated[
        list[str] | None,
        typer.Option("--set", help="an answer without the file: --set monthly_volume=20000; again for more"),
    ] = None,
    documents: Annotated[Path | None, typer.Option(help="with a file of examples: folder of documents")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="time a question on local models; reads their weights")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="also write .html or .md, in both languages, or .json")] = None,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Say which rungs can be tried on a task, which first and why, what is missing, and what each would cost.

    Example: **rung assess task.yaml --set data_may_leave=false --out assess.html**
    """
    from rung.reporting.assess import assessment_text

    asked = asked_language(lang)
    if init:
        print(init_assess(task.parent, force=force))
        return
    if out is not None and out.suffix not in FORMATS:
        raise UsageError("E4412", value=out.suffix or out.name)
    study = assess(task, answers=answers, said=said or (), documents=documents, measure=measure)
    language: Language = asked or study.language
    print(commands.to_json(study.model_dump(mode="json")) if json else assessment_text(study, language).rstrip("\n"))
    if out is not None:
        for path in write_assessment(study, out, language):
            say(str(path))
