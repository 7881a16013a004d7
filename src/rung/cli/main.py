"""The command line: parses arguments, calls the function of the same name, prints. stdout is data, stderr is talk."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import commands, judge
from rung.cli.assess import command as assess
from rung.cli.compare import compare
from rung.cli.models import models
from rung.cli.rate import rate_command
from rung.core.errors import InterruptedRun, RungError, TargetNotMet, UsageError

if TYPE_CHECKING:
    from rung.core.task import Language

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Find the cheapest way to make a language model good enough at one job, and prove it on held-out questions.\n\n"
    "Start with **rung init questions.csv**, look at the task.yaml it writes, then **rung run**.",
)

_INTERRUPTED = 130
"""What the parser makes of a first Ctrl-C that came outside a run."""
TaskFile = Annotated[Path, typer.Argument(help="the task file", metavar="TASK.YAML")]
RunPath = Annotated[Path, typer.Argument(help="a run folder, or a folder of runs: the newest", metavar="RUN")]
Lang = Annotated[str | None, typer.Option("--lang", help="en or zh; the task's language when absent")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for programs")]


def language() -> Language:
    """The user's own language, for errors: RUNG_LANG, else the system's."""
    said = (
        os.environ.get("RUNG_LANG")
        or os.environ.get("LC_ALL")
        or os.environ.get("LC_MESSAGES")
        or os.environ.get("LANG", "")
    )
    return "zh" if said.lower().startswith("zh") else "en"


def say(text: str = "") -> None:
    """Talk: to stderr."""
    print(text, file=sys.stderr, flush=True)


def _spoken(lang: str | None) -> Any:
    if lang is not None and lang not in {"en", "zh"}:
        raise UsageError("E1309", value=lang)
    return lang


@app.command()
def init(
    examples: Annotated[Path, typer.Argument(help="CSV, TSV, JSONL or JSON file of examples")],
    documents: Annotated[Path | None, typer.Option(help="folder of documents that hold the answers")] = None,
    out: Annotated[Path | None, typer.Option(help="where to write; beside the examples when absent")] = None,
    force: Annotated[bool, typer.Option(help="write over an existing task.yaml")] = False,
) -> None:
    """Write a commented task.yaml by looking at a file of examples.

    Example: **rung init questions.csv --documents notes/**
    """
    path = commands.init(examples, documents=documents, out=out, force=force)
    say("Look it over, then: rung check " + str(path))
    print(path)


@app.command()
def check(task: TaskFile = commands.TASK_FILE, json: AsJson = False) -> None:
    """Read the task, its examples and documents, and say what would spoil a comparison. Nothing is spent."""
    checked = commands.check(task)
    if json:
        print(
            commands.to_json(
                {
                    "task": checked.task,
                    "splits": dict(checked.splits),
                    "documents": checked.documents,
                    "rejected": checked.rejected,
                    "findings": [finding.to_json() for finding in checked.findings],
                }
            )
        )
        return
    spoken = language()
    sizes = ", ".join(f"{name} {n}" for name, n in checked.splits.items())
    print(f"{checked.task}: {sizes}; documents {checked.documents}; rejected rows {checked.rejected}")
    for finding in checked.findings:
        print(f"{finding.level}: {finding.message(spoken)} [{finding.code}]")
        if finding.rows:
            print("    " + ", ".join(finding.rows[:8]) + (" ..." if len(finding.rows) > 8 else ""))
        if finding.hint(spoken):
            print("    hint: " + finding.hint(spoken))


@app.command()
def plan(task: TaskFile = commands.TASK_FILE, json: AsJson = False) -> None:
    """Show the rungs that would be run, why others cannot, and what each is expected to take."""
    from rung.cli.screen import show_plan

    found = commands.plan(task)
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        show_plan(found, language())


@app.command()
def run(
    task: TaskFile = commands.TASK_FILE,
    runs: Annotated[Path | None, typer.Option(help="folder of runs; runs/ beside the task when absent")] = None,
    run_id: Annotated[str | None, typer.Option(help="name of the run; made from task and data when absent")] = None,
    compare_all: Annotated[bool, typer.Option("--all", help="run every rung, even when a target is set")] = False,
    max_cost: Annotated[
        float | None, typer.Option(help="money for endpoints, over the whole run; instead of budget.max_cost")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="wall-clock hours, over the whole run; instead of budget.minutes")
    ] = None,
    lang: Lang = None,
    json: AsJson = False,
) -> None:
    """Run the whole ladder, decide, and write the report. Stopped at any moment, the same command goes on.

    Limits given here hold for this call alone: the run stays the same one, and goes on under others.
    """
    from rung.cli.screen import Screen

    with Screen(_spoken(lang) or language()) as screen:
        folder = commands.run(
            task,
            runs=runs,
            run_id=run_id,
            compare_all=compare_all,
            max_cost=max_cost,
            max_hours=max_hours,
            watcher=screen,
            language=_spoken(lang),
        )
    _verdict(folder.path, lang, json)


def _verdict(path: Path, lang: str | None, json: bool) -> None:
    if json:
        print(commands.to_json(commands.show_json(path)))
    else:
        print(commands.show(path, language=_spoken(lang)))
        say(f"report: {path / 'report.html'}")
    from rung.store.runs import RunFolder

    decision = RunFolder(path).read_decision()
    if decision is not None and decision.verdict == "target_not_met":
        raise TargetNotMet("E6001")


@app.command()
def report(run: RunPath = Path("runs"), lang: Lang = None) -> None:
    """Write report.html, report.md and report.json anew, in either language."""
    for path in commands.report(run, language=_spoken(lang)).values():
        print(path)


@app.command()
def show(run: RunPath = Path("runs"), lang: Lang = None, json: AsJson = False) -> None:
    """Print the verdict and the table of a run."""
    print(commands.to_json(commands.show_json(run)) if json else commands.show(run, language=_spoken(lang)))


@app.command()
def diagnose(
    source: Annotated[Path, typer.Argument(help="a task file, a run, or a folder of runs", metavar="TASK.YAML|RUN")] = (
        commands.TASK_FILE
    ),
    questions: Annotated[int, typer.Option(help="dev questions to ask, at most", min=10)] = 100,
    model: Annotated[str, typer.Option(help="one of several models; the first when absent")] = "",
    runs: Annotated[Path | None, typer.Option(help="folder of runs; runs/ beside the task when absent")] = None,
    lang: Lang = None,
    json: AsJson = False,
) -> None:
    """Find out what the errors lack: knowledge, or the form of an answer.

    Dev questions are asked alone, twice; with the passage that holds the answer; with examples of the form; and with both.
    Recorded answers, named under `arms` in task.yaml, take the place of a model.
    """
    from rung.cli import diagnosis
    from rung.cli.screen import Screen
    from rung.reporting.diagnosis import diagnosis_text
    from rung.store.records import Cell

    spoken = _spoken(lang)
    with Screen(spoken or language()) as screen:
        bar = screen.started(Cell(method="diagnose", model="-", rank=0))
        found = diagnosis.diagnose(source, questions=questions, model=model, runs=runs, progress=bar, language=spoken)
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        print(diagnosis_text(found, spoken or language()), end="")


@app.command()
def stability(
    run: RunPath = Path("runs"),
    candidate: Annotated[str, typer.Option(help="another candidate than the winner")] = "",
    repeats: Annotated[int, typer.Option(help="how often the very same is asked", min=1)] = 5,
    questions: Annotated[int, typer.Option(help="dev questions to ask, at most", min=1)] = 50,
    paraphrases: Annotated[Path | None, typer.Option(help="file with other wordings that people wrote")] = None,
    column: Annotated[str, typer.Option(help="column of that file that holds the wording")] = "paraphrase",
    lang: Lang = None,
    json: AsJson = False,
) -> None:
    """Measure whether a candidate answers the same when dev questions are asked again, in other words and forms."""
    from rung.cli import diagnosis
    from rung.cli.screen import Screen
    from rung.reporting.stability import stability_text
    from rung.store.records import Cell

    spoken = _spoken(lang)
    with Screen(spoken or language()) as screen:
        found = diagnosis.stability(
            run,
            candidate=candidate,
            repeats=repeats,
            questions=questions,
            paraphrases=paraphrases,
            column=column,
            progress=screen.started(Cell(method="stability", model="-", rank=0)),
            language=spoken,
        )
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        print(stability_text(found, spoken or language()), end="")


@app.command()
def ask(
    question: Annotated[list[str], typer.Argument(help="the question; or several fields as name=value")],
    run: Annotated[Path, typer.Option(help="a run folder, or a folder of runs: the newest")] = Path("runs"),
    candidate: Annotated[str | None, typer.Option(help="another candidate than the winner")] = None,
    json: AsJson = False,
) -> None:
    """Answer a question with the winner of a run, exactly as it was evaluated.

    Example: **rung ask "How long does the landlord have to return my deposit?"**
    """
    from dataclasses import asdict

    pairs = [part.partition("=") for part in question]
    fields = {name: value for name, mark, value in pairs if mark and name.isidentifier()}
    many = len(question) > 1 and len(fields) == len(question)
    answer = commands.ask(fields if many else " ".join(question), run=run, candidate=candidate)
    if json:
        print(commands.to_json(asdict(answer)))
        return
    if answer.failure is not None:
        say(f"no answer: {answer.failure.kind}: {answer.failure.message}")
        raise typer.Exit(4)
    print(answer.text)
    if answer.confidence is not None:
        say(f"confidence {answer.confidence:.2f}")
    for passage in answer.citations:
        say(f"source: {passage}")


app.command()(compare)
app.add_typer(judge.app, name="judge")
app.command("rate")(rate_command)
app.add_typer(models, name="models")
app.command("assess")(assess)


@app.command("list")
def list_parts(
    kind: Annotated[str, typer.Argument(help="models, methods or metrics")] = "methods", json: AsJson = False
) -> None:
    """List the models, methods or metrics that are there, your own packages' included."""
    if kind not in {"models", "methods", "metrics"}:
        raise UsageError("E1310", value=kind)
    found = commands.list_parts(kind)  # type: ignore[arg-type]
    if json:
        print(commands.to_json([{"name": part.name, "about": part.about} for part in found]))
        return
    width = max(len(part.name) for part in found)
    for part in found:
        print(f"{part.name:<{width}}  {part.about}")


@app.command()
def doctor(json: AsJson = False) -> None:
    """Say whether this machine has what a run needs, and what to do where it has not."""
    from dataclasses import asdict

    found = commands.doctor()
    if json:
        print(commands.to_json([asdict(health) for health in found]))
    else:
        width = max(len(health.name) for health in found)
        for health in found:
            print(f"{'ok  ' if health.ok else 'BAD '} {health.name:<{width}}  {health.value}")
            if not health.ok:
                print(f"     hint: {health.hint}")
    if not all(health.ok for health in found):
        raise typer.Exit(2)


def _stop_gently(number: int, _: Any) -> None:
    """The first signal lets the run put its work down; a second one ends at once."""
    signal.signal(number, lambda *_: os._exit(128 + number))
    raise KeyboardInterrupt


def main() -> None:
    """Entry point. A user's mistake prints what is wrong and what to do, never a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_gently)
    try:
        code = app(standalone_mode=False)
        if code == _INTERRUPTED:
            code = InterruptedRun.exit_code
    except RungError as error:
        for line in error.lines(language()):
            say(line)
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = InterruptedRun.exit_code
    except SystemExit as ended:
        # A reader that leaves, as `head` does, is no error.
        code = 0 if isinstance(ended.__context__, BrokenPipeError) else ended.code
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if not hasattr(error, "show"):
            raise
        error.show()  # A mistake in the arguments: the parser's own words.
        code = UsageError.exit_code
    sys.exit(code)
