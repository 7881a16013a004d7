"""Labelling as functions: the rows and their desk, the next rows, a label, agreement, a finished version, export and import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.cli.data.rows import Rows, keep_rows, open_rows
from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.core.task import Document
    from rung.data.record import Record
    from rung.data.versions.version import Version
    from rung.experiment.annotating.agreement import Agreement
    from rung.experiment.annotating.desk import Desk, Setup
    from rung.experiment.annotating.exchange import TakenIn, Tool
    from rung.experiment.annotating.finish import Finished
    from rung.experiment.annotating.queue import Queue, Row

FOLDER = "labelling"
_MOST_LABELS = 100
_LONGEST_LABEL = 60


@dataclass(frozen=True)
class Subject:
    """Rows to label, where their work files lie, and what a task.yaml says of them."""

    rows: Rows
    desk: Desk
    labels: tuple[str, ...] = ()
    guideline: str = ""
    fields: tuple[str, ...] = ()
    documents: tuple[Document, ...] = ()

    @property
    def records(self) -> tuple[Record, ...]:
        return self.rows.records


@dataclass(frozen=True)
class Choices:
    """What a user asked for; None and '' leave it as it was settled before, or to the default."""

    labels: str = ""
    guideline: Path | None = None
    overlap: float | None = None
    order: str = ""
    seed: int | None = None


def open_subject(where: str | Path, *, task: Path | None = None) -> Subject:
    """The rows of a data set, a file or a task.yaml (train and dev: test is not opened for labelling), and their desk.

    Raises as reading any of them does.
    """
    from rung.data.record import Record
    from rung.experiment.annotating.desk import Desk
    from rung.experiment.setup import prepare

    path = Path(where)
    is_task = path.suffix in {".yaml", ".yml"}
    told = path if is_task else task
    prepared = prepare(told) if told else None
    if is_task and prepared is not None:
        records = [
            Record.from_example(example, split) for split in ("train", "dev") for example in prepared.examples[split]
        ]
        rows, desk = Rows(tuple(records)), Desk(prepared.config.folder / FOLDER)
    else:
        rows = open_rows(where)
        desk = Desk(rows.dataset.folder / FOLDER if rows.dataset else path.with_name(f"{path.stem}.{FOLDER}"))
    if prepared is None:
        return Subject(rows, desk)
    said = prepared.task
    return Subject(rows, desk, said.output.labels, said.instruction, said.inputs, prepared.documents.documents)


def settled(subject: Subject, choices: Choices) -> Setup:
    """What this desk works by, kept for the next time. Raises UsageError E2952 for a share or an order that is none."""
    from rung.experiment.annotating.desk import Setup
    from rung.experiment.annotating.order import ORDERS

    if choices.overlap is not None and not 0 <= choices.overlap <= 1:
        raise UsageError("E2952", name="--overlap", value=choices.overlap, known="0 ... 1")
    if choices.order and choices.order not in ORDERS:
        raise UsageError("E2952", name="--order", value=choices.order, known=", ".join(ORDERS))
    before = subject.desk.setup
    base = before or Setup(
        labels=subject.labels or labels_in(subject.records), guideline=subject.guideline, fields=subject.fields
    )
    changes: dict[str, Any] = {}
    if choices.labels:
        changes["labels"] = tuple(dict.fromkeys(part.strip() for part in choices.labels.split(",") if part.strip()))
    if choices.guideline is not None:
        if not choices.guideline.is_file():
            raise UsageError("E1305", path=choices.guideline)
        changes["guideline"] = choices.guideline.read_text("utf-8", "replace")
    given = {"overlap": choices.overlap, "order": choices.order or None, "seed": choices.seed}
    setup = Setup.model_validate(base.model_dump() | changes | {k: v for k, v in given.items() if v is not None})
    subject.desk.settle(setup)
    return setup


def labels_in(records: Sequence[Record]) -> tuple[str, ...]:
    """The labels of rows whose answers look like labels: few, short, and each met several times; else none."""
    counts = Counter(record.answer for record in records if record.answer)
    total = sum(counts.values())
    if not counts or len(counts) > _MOST_LABELS or total < 2 * len(counts):
        return ()
    return tuple(sorted(counts)) if all(len(name) <= _LONGEST_LABEL for name in counts) else ()


def open_queue(
    subject: Subject,
    annotator: str,
    setup: Setup,
    *,
    run: Path | None = None,
    candidate: str = "",
    again: bool = False,
) -> Queue:
    """An annotator's rows, led by a run's winner where one is named. Raises as opening a run does."""
    from rung.experiment.annotating.queue import Queue
    from rung.experiment.annotating.suggest import open_adviser

    subject.desk.log_path(annotator)
    adviser = open_adviser(run, subject.desk.folder, candidate=candidate) if run else None
    return Queue(subject.desk, subject.records, annotator, setup, adviser, again=again)


def next_rows(
    where: str | Path,
    annotator: str,
    count: int = 20,
    *,
    choices: Choices | None = None,
    run: Path | None = None,
    task: Path | None = None,
) -> list[Row]:
    """The rows that an annotator should label next, best first: for programs and pages of your own."""
    subject = open_subject(where, task=task)
    setup = settled(subject, choices or Choices())
    return open_queue(subject, annotator, setup, run=run).next_rows(count)


def record_label(where: str | Path, annotator: str, id: str, answer: str, *, suggestion: str = "") -> None:
    """Keep one label, as the loop in the terminal does.

    Raises UsageError E2953 for a row that is not there, E2954 for a label that is not on the list.
    """
    from rung.experiment.annotating.desk import Writer

    subject = open_subject(where)
    found = next((record for record in subject.records if record.id == id), None)
    if found is None:
        raise UsageError("E2953", id=id)
    setup = subject.desk.setup
    if setup and setup.labels and answer not in setup.labels:
        raise UsageError("E2954", value=answer, known=", ".join(setup.labels))
    with Writer(subject.desk, annotator) as writer:
        writer.label(found, answer, suggestion=suggestion)


def label_agreement(where: str | Path) -> Agreement:
    """How far the annotators of a set of rows agree. Raises UsageError E2955 where nobody has labelled anything."""
    from rung.experiment.annotating.agreement import agreement_of

    subject = open_subject(where)
    need_labels(subject)
    return agreement_of(subject.desk, subject.records)


def finish_labels(where: str | Path, *, out: Path | None = None) -> tuple[Finished, Version | Path]:
    """Put the labels into the rows and keep them: as the next version of the data set, or in `out`.

    Raises UsageError E2955 where nobody has labelled anything, E2727 for rows of a file without `out`.
    """
    from rung.experiment.annotating.finish import finished

    subject = open_subject(where)
    need_labels(subject)
    found = finished(subject.desk, subject.records)
    return found, keep_rows(subject.rows, found.records, [found.step], out)


def export_labels(where: str | Path, out: Path, tool: Tool = "label-studio") -> Path:
    """Write the rows, with the labels so far, as a file that Label Studio or doccano imports."""
    from rung.data.formats.write import write_records
    from rung.experiment.annotating.exchange import with_labels

    subject = open_subject(where)
    return write_records(with_labels(subject.desk, subject.records), out, format=tool)


def import_labels(where: str | Path, file: Path, annotator: str = "imported") -> TakenIn:
    """Take in the labels of a file that Label Studio or doccano exported. The same file again changes nothing."""
    from rung.data.formats.read import read_records
    from rung.experiment.annotating.exchange import take_in

    subject = open_subject(where)
    settled(subject, Choices())
    return take_in(subject.desk, subject.records, read_records(file).records, annotator)


def need_labels(subject: Subject) -> None:
    if not subject.desk.annotators():
        raise UsageError("E2955", path=subject.desk.folder)
