"""`rung label`: people label rows in the terminal, two of them are compared, and a new version of the data set is kept."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from typer.core import TyperGroup

from rung.cli import commands
from rung.cli.label_desk import (
    Choices,
    export_labels,
    finish_labels,
    import_labels,
    label_agreement,
    need_labels,
    open_queue,
    open_subject,
    settled,
)
from rung.cli.label_loop import Loop, Talk, adjudicate_rows
from rung.cli.options import AsJson, OwnLang
from rung.cli.spoken import asked_language, own_language, say, spoken
from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.experiment.annotating.exchange import Tool
    from rung.stats.agreement import Kappa


class _LabelGroup(TyperGroup):
    """`rung label ROWS` works on rows; the other commands are named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["rows", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_LabelGroup,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Label rows by hand.\n\nExample: **rung label datasets/desk --annotator anna**\n\n"
    "Rows that a model is unsure of come first, every answer is kept at once, and the same command goes on.",
)

Where = Annotated[str, typer.Argument(help="a data set, a file of rows, or a task.yaml", metavar="ROWS")]
TaskOption = Annotated[
    Path | None, typer.Option("--task", help="task.yaml with the labels, the instruction and the documents")
]


def _talk(language: Literal["en", "zh"]) -> Talk:
    return Talk(_read_line if sys.stdin.isatty() else lambda prefill: sys.stdin.readline(), _to_stderr, language)


def _read_line(prefill: str) -> str:
    """A line typed at a terminal, beginning with a text that can be edited; '' at its end."""
    import readline

    readline.set_startup_hook(lambda: readline.insert_text(prefill))
    try:
        return input() + "\n"
    except EOFError:
        return ""
    finally:
        readline.set_startup_hook()


def _to_stderr(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)


class _Counter:
    """How far a candidate has come with its suggestions: one line on a terminal, since a bar would fight with what is typed."""

    def update(self, done: float, total: float, note: str = "") -> None:
        if sys.stderr.isatty():
            _to_stderr(f"\r{note}: {done:.0f}/{total:.0f}" + ("\n" if done >= total else ""))


@app.command("rows")
def label_command(
    where: Where,
    annotator: Annotated[str, typer.Option(help="your name, as it is kept beside each label")],
    labels: Annotated[str, typer.Option(help="the labels, as a,b,c; those of the task or the rows when absent")] = "",
    guideline: Annotated[Path | None, typer.Option(help="a text file that says how to label")] = None,
    run: Annotated[Path | None, typer.Option("--from", help="a run: its winner says what it would answer")] = None,
    candidate: Annotated[str, typer.Option(help="another candidate of that run")] = "",
    batch: Annotated[int, typer.Option(help="rows after which the order is made anew", min=1)] = 20,
    limit: Annotated[int, typer.Option(help="at most so many rows now; 0: all", min=0)] = 0,
    overlap: Annotated[float | None, typer.Option(help="share of rows that two people label; 0.2 at first")] = None,
    order: Annotated[str, typer.Option(help="mixed (unsure and diverse first), random, or given")] = "",
    blind: Annotated[bool, typer.Option(help="show no suggestion and no earlier answer")] = False,
    again: Annotated[bool, typer.Option(help="bring back the rows that were skipped")] = False,
    task: TaskOption = None,
    documents: Annotated[Path | None, typer.Option(help="folder of the documents that rows refer to")] = None,
    lang: OwnLang = None,
) -> None:
    """Label rows, one key each: unsure and diverse rows first, rows without an answer before those with one.

    Type a label's number or name, then Enter; **s** skip, **u** undo, **n** note, **f** flag, **q** quit. Free text: the same with a slash.

    Example: **rung label datasets/desk --annotator anna --labels refund,delivery,other --from runs/desk**
    """
    from rung.core.lock import folder_lock
    from rung.data.documents import read_documents
    from rung.experiment.annotating.desk import Writer
    from rung.experiment.annotating.passages import passage_finder

    used = asked_language(lang) or own_language()
    subject = open_subject(where, task=task)
    setup = settled(subject, Choices(labels, guideline, overlap, order))
    queue = open_queue(subject, annotator, setup, run=run, candidate=candidate, again=again)
    queue.progress = _Counter()
    read = read_documents(documents).documents if documents else subject.documents
    with folder_lock(subject.desk.folder / f".{annotator}"), Writer(subject.desk, annotator) as writer:
        loop = Loop(queue, writer, _talk(used), passage_finder(read), blind)
        loop.run(batch, limit)
    left = len(queue.left())
    say("\n" + spoken("label.left", used, done=loop.done, left=left, annotator=annotator))
    say(spoken("label.where", used, path=subject.desk.log_path(annotator)))


@app.command("agreement")
def agreement_command(where: Where, lang: OwnLang = None, json: AsJson = False) -> None:
    """How far annotators agree beyond chance, and which labels are taken for each other."""
    used = asked_language(lang) or own_language()
    found = label_agreement(where)
    if json:
        print(commands.to_json(found.to_json()))
        return
    for name, n in found.annotators.items():
        print(spoken("label.each", used, annotator=name, n=n))
    if not found.shared:
        print(spoken("label.alone", used))
        return
    print(spoken("label.alpha", used, alpha=_shown(found.alpha), n=found.shared, agreed=found.agreed))
    for pair in found.pairs:
        values = {"first": pair.first, "second": pair.second, "kappa": _shown(pair.kappa), "n": pair.kappa.n}
        print(spoken("label.kappa", used, **values))
    for item in found.confusions[:12]:
        one, other = item.labels
        values = {"count": item.count, "one": one, "other": other, "ids": ", ".join(item.examples)}
        print("  " + spoken("label.confused", used, **values))
    if found.led:
        print(spoken("label.led", used, n=found.led))


def _shown(kappa: Kappa) -> str:
    if kappa.value != kappa.value:
        return "–"
    return f"{kappa.value:.2f} [{kappa.low:.2f}, {kappa.high:.2f}]"


@app.command("adjudicate")
def adjudicate_command(
    where: Where,
    by: Annotated[str, typer.Option(help="who decides, as it is kept beside each decision")] = "adjudicator",
    again: Annotated[bool, typer.Option(help="show decided rows too")] = False,
    task: TaskOption = None,
    lang: OwnLang = None,
) -> None:
    """Walk through the rows on which annotators differ, and decide each. Decisions are kept at once."""
    from rung.experiment.annotating.agreement import disagreements
    from rung.experiment.annotating.passages import passage_finder

    used = asked_language(lang) or own_language()
    subject = open_subject(where, task=task)
    need_labels(subject)
    open_now = disagreements(subject.desk, subject.records, again=again)
    done = adjudicate_rows(subject.desk, open_now, by, _talk(used), passage_finder(subject.documents))
    left = len(disagreements(subject.desk, subject.records))
    say("\n" + spoken("label.decided", used, done=done, left=left))


@app.command("finish")
def finish_command(
    where: Where,
    out: Annotated[
        Path | None, typer.Option(help="file to write; the next version of the data set when absent")
    ] = None,
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Put the labels into the rows: agreed and adjudicated ones become answers; a data set gets a new version."""
    used = asked_language(lang) or own_language()
    found, kept = finish_labels(where, out=out)
    counts: dict[str, Any] = dict(found.step.counts)
    if json:
        print(commands.to_json({"kept": str(getattr(kept, "id", kept)), "counts": counts}))
        return
    names = ("labelled", "agreed", "single", "adjudicated", "disagreed", "changed", "stale")
    say(spoken("label.finished", used, **{name: counts.get(name, 0) for name in names}))
    print(getattr(kept, "id", kept))


@app.command("export")
def export_command(
    where: Where,
    out: Annotated[Path, typer.Argument(help="the file to write")],
    format: Annotated[str, typer.Option(help="label-studio or doccano")] = "label-studio",
) -> None:
    """Write the rows for Label Studio or doccano, with the labels so far as what was said before."""
    if format not in {"label-studio", "doccano"}:
        raise UsageError("E2952", name="--format", value=format, known="label-studio, doccano")
    print(export_labels(where, out, cast("Tool", format)))


@app.command("import")
def import_command(
    where: Where,
    file: Annotated[Path, typer.Argument(help="an export of Label Studio or doccano")],
    annotator: Annotated[str, typer.Option(help="whose labels they are, where the file does not say")] = "imported",
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Take in labels that were given in Label Studio or doccano; they count like those of the terminal."""
    used = asked_language(lang) or own_language()
    found = import_labels(where, file, annotator)
    if json:
        print(commands.to_json(found))
        return
    values = {"unknown": len(found.unknown), "off_list": len(found.off_list), "unlabelled": found.unlabelled}
    print(spoken("label.taken", used, taken=found.taken, **values))
