"""The command line: parses arguments, calls the function of the same name, prints. stdout is data, stderr is talk."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from rung.cli import commands, judge
from rung.cli.aftermath import aftermath_command
from rung.cli.assess import assess_command
from rung.cli.compare import compare
from rung.cli.data.app import app as data_app
from rung.cli.deploy import canary_command, promote_command, rollback_command, rounds_command, shadow_command
from rung.cli.diagnosis import diagnose_command, stability_command
from rung.cli.export import export_command
from rung.cli.feedback import app as feedback_app
from rung.cli.index import app as index_app
from rung.cli.keys import app as keys_app
from rung.cli.knowledge import attack_command, ceilings_command
from rung.cli.label import app as label_app
from rung.cli.mcp import mcp_command
from rung.cli.models import models
from rung.cli.monitor import monitor_command
from rung.cli.options import AsJson, RunPath, RunsFolder, SeenBy, TaskFile, TaskLang, labels_in
from rung.cli.rate import rate_command
from rung.cli.removal import app as traffic_app
from rung.cli.retrain import retrain_command
from rung.cli.serve import serve_command
from rung.cli.spoken import asked_language, command_language, finding_line, own_language, say, spoken
from rung.cli.verdict import show_verdict
from rung.core.errors import BackendError, InterruptedRun, RungError, UsageError

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
    say(spoken("init.next", own_language(), path=path))
    print(path)


@app.command()
def check(task: TaskFile = commands.TASK_FILE, json: AsJson = False) -> None:
    """Read the task, its examples and documents, and say what would spoil a comparison. Nothing is spent."""
    from rung.cli.screen import Screen

    with Screen(own_language()) as screen:
        checked = commands.check(task, progress=screen.reading())
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
    language = own_language()
    sizes = ", ".join(f"{name} {n}" for name, n in checked.splits.items())
    counts = {"documents": checked.documents, "rejected": checked.rejected}
    print(spoken("check.sizes", language, task=checked.task, sizes=sizes, **counts))
    for finding in checked.findings:
        print(finding_line(finding, language))
        if finding.rows:
            print("    " + ", ".join(finding.rows[:8]) + (" ..." if len(finding.rows) > 8 else ""))
        if finding.hint(language):
            print("    " + spoken("hint", language, hint=finding.hint(language)))


@app.command()
def plan(task: TaskFile = commands.TASK_FILE, json: AsJson = False) -> None:
    """Show the rungs that would be run, why others cannot, and what each is expected to take."""
    from rung.cli.screen import show_plan

    found = commands.plan(task)
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        show_plan(found, own_language())


@app.command()
def run(
    task: TaskFile = commands.TASK_FILE,
    runs: RunsFolder = None,
    run_id: Annotated[str | None, typer.Option(help="name of the run; made from task and data when absent")] = None,
    compare_all: Annotated[bool, typer.Option("--all", help="run every rung, even when a target is set")] = False,
    max_cost: Annotated[
        float | None, typer.Option(help="money for endpoints, over the whole run; instead of budget.max_cost")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="wall-clock hours, over the whole run; instead of budget.minutes")
    ] = None,
    devices: Annotated[
        int | None, typer.Option(help="processes on this machine that share each training: the number of GPUs, say")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            help="make rungs, trials and seeds at the same time: 'ray' on this machine, or a cluster's ray://HOST:PORT"
        ),
    ] = None,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Run the whole ladder, decide, and write the report. Stopped at any moment, the same command goes on.

    Limits given here hold for this call alone: the run stays the same one, and goes on under others.
    """
    from rung.cli.screen import Screen

    language = asked_language(lang)
    with Screen(language or own_language()) as screen:
        folder = commands.run(
            task,
            runs=runs,
            run_id=run_id,
            compare_all=compare_all,
            max_cost=max_cost,
            max_hours=max_hours,
            devices=devices,
            on=on,
            watcher=screen,
            language=language,
        )
    show_verdict(folder.path, language=language, json=json)


@app.command()
def report(run: RunPath = Path("runs"), lang: TaskLang = None) -> None:
    """Write report.html, report.md and report.json anew, in either language; send them to where the run is tracked."""
    from rung.cli.screen import Screen

    language = asked_language(lang)
    warned = Screen(language or own_language()).warned
    for path in commands.report(run, language=language, warn=warned).values():
        print(path)


@app.command()
def show(run: RunPath = Path("runs"), lang: TaskLang = None, json: AsJson = False) -> None:
    """Print the verdict and the table of a run."""
    print(commands.to_json(commands.show_json(run)) if json else commands.show(run, language=asked_language(lang)))


app.command("diagnose")(diagnose_command)
app.command("stability")(stability_command)
app.command("ceilings")(ceilings_command)
app.command("attack")(attack_command)


@app.command()
def ask(
    question: Annotated[list[str], typer.Argument(help="the question; or several fields as name=value")],
    run: Annotated[Path, typer.Option(help="a run folder, or a folder of runs: the newest")] = Path("runs"),
    candidate: Annotated[str | None, typer.Option(help="another candidate than the winner")] = None,
    seen_by: SeenBy = None,
    trace: Annotated[bool, typer.Option(help="show what was searched, found, left out, asked and checked")] = False,
    json: AsJson = False,
) -> None:
    """Answer a question with the winner of a run, exactly as it was evaluated.

    Example: **rung ask "How long does the landlord have to return my deposit?"**
    """
    from dataclasses import asdict

    from rung.cli.asking import ask_traced, trace_lines, trace_record

    pairs = [part.partition("=") for part in question]
    fields = {name: value for name, mark, value in pairs if mark and name.isidentifier()}
    many = len(question) > 1 and len(fields) == len(question)
    wanted, language = fields if many else " ".join(question), own_language()
    labels = labels_in(seen_by)
    asked = ask_traced(wanted, run=run, candidate=candidate, seen_by=labels) if trace else None
    answer = asked.answer if asked else commands.ask(wanted, run=run, candidate=candidate, seen_by=labels)
    if asked and not json:
        for line in trace_lines(asked, language):
            say(line)
    if json:
        print(commands.to_json(trace_record(asked) if asked else asdict(answer)))
    elif answer.reads:
        print(answer.reads)
        if answer.confidence is not None:
            say(spoken("ask.confidence", language, share=f"{answer.confidence:.2f}"))
        for passage in answer.citations:
            held = passage not in answer.unsupported_citations
            say(spoken("ask.source" if held else "ask.unheld", language, passage=passage))
        for quote in answer.unsupported_quotes:
            say(spoken("ask.unsupported", language, text=quote))
    if answer.failure is not None:
        say(spoken("ask.none", language, kind=answer.failure.kind, message=answer.failure.message))
        raise typer.Exit(BackendError.exit_code)


app.command()(compare)
app.add_typer(judge.app, name="judge")
app.command("rate")(rate_command)
app.add_typer(models, name="models")
app.add_typer(label_app, name="label")
app.add_typer(data_app, name="data")
app.add_typer(index_app, name="index")
app.command("assess")(assess_command)
app.command("aftermath")(aftermath_command)
app.command("export")(export_command)
app.command("mcp")(mcp_command)
app.command("serve")(serve_command)
app.add_typer(keys_app, name="keys")
app.command("monitor")(monitor_command)
app.add_typer(traffic_app, name="traffic")
app.add_typer(feedback_app, name="feedback")
app.command("retrain")(retrain_command)
app.command("canary")(canary_command)
app.command("shadow")(shadow_command)
app.command("promote")(promote_command)
app.command("rollback")(rollback_command)
app.command("rounds")(rounds_command)


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
                print("     " + spoken("hint", own_language(), hint=health.hint))
    if not all(health.ok for health in found):
        raise typer.Exit(UsageError.exit_code)


def _stop_gently(number: int, _: Any) -> None:
    """The first signal lets the run put its work down; a second one ends at once."""
    signal.signal(number, lambda *_: os._exit(128 + number))
    raise KeyboardInterrupt


def main() -> None:
    """Entry point. A user's mistake prints what is wrong and what to do, never a traceback."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # nohup has a run go on when its terminal is closed; a system without terminals has no such signal.
        number = getattr(signal, name, None)
        if number is not None and (name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN):
            signal.signal(number, _stop_gently)
    try:
        code = app(standalone_mode=False)
        if code == _INTERRUPTED:
            code = InterruptedRun.exit_code
    except RungError as error:
        for line in error.lines(command_language(sys.argv)):
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
