"""What a quality check looks at: the rows of a task, a data set or a file as records, their kind, and the documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rung.config import load_config, propose_config, to_task
from rung.core.durable import write_text
from rung.core.errors import DataError
from rung.core.task import Document, Example, Language, OutputKind, SplitName, Task
from rung.data.record import Record
from rung.data.table import SUFFIXES, read_table
from rung.experiment.assessing.assess import TOO_FEW
from rung.experiment.setup import prepare, read_spec, read_undealt
from rung.experiment.task_documents import task_documents
from rung.text.script import language_of
from rung.text.strict_json import read_json

_LABEL_LENGTH = 60
"""Characters of the longest answer that is taken for a label, where no task says what answers are."""
_LABEL_REPEATS = 3
"""Rows a label, on average, from which answers are taken for labels."""


@dataclass(frozen=True)
class Material:
    """Rows with all that is known of them."""

    name: str
    kind: OutputKind
    language: Language
    records: tuple[Record, ...]
    task: Task | None = None
    documents: tuple[Document, ...] = ()
    rejected: int = 0


def task_material(task_file: Path) -> Material:
    """All rows of a task, copies that a run would take out of train included.

    Too few rows for three splits are looked at without a split. Raises as `experiment.setup.prepare` does.
    """
    try:
        prepared = prepare(task_file)
    except DataError as error:
        if error.code not in TOO_FEW:
            raise
        return _unsplit(task_file)
    homes: dict[str, SplitName] = {id: name for name in ("train", "dev", "test") for id in prepared.splits[name].ids}
    records = [
        Record.from_example(example, homes.get(example.id))
        for read in prepared.reads.values()
        for example in read.examples
    ]
    task = prepared.task
    return Material(
        task.name,
        task.output.kind,
        task.language,
        tuple(records),
        task,
        prepared.documents.documents,
        len(prepared.rejects),
    )


def _unsplit(task_file: Path, *, max_bad_ratio: float | None = None) -> Material:
    config = load_config(task_file)
    spec = read_spec(config)
    reads = read_undealt(config, spec if max_bad_ratio is None else replace(spec, max_bad_ratio=max_bad_ratio))
    rows: list[tuple[Example, SplitName | None]] = [
        (example, "test" if name == "test" else None) for name, read in reads.items() for example in read.examples
    ]
    labels = {row.references[0] for row, _ in rows if row.references} if config.output.kind == "label" else set()
    task = to_task(config, sorted(labels))
    documents = task_documents(config).documents
    return Material(
        task.name,
        task.output.kind,
        task.language,
        tuple(Record.from_example(example, split) for example, split in rows),
        task,
        documents,
        sum(len(read.rejects) for read in reads.values()),
    )


def file_material(path: Path) -> Material | None:
    """The rows of a table of examples, read as `rung init` would; None for a file of another kind.

    Raises as `config.propose_config` and reading do.
    """
    inner = path.with_suffix("") if path.suffix == ".gz" else path
    if inner.suffix.lower() not in SUFFIXES:
        return None
    table = read_table(path, limit=2000)
    with TemporaryDirectory() as folder:
        task_file = Path(folder) / "task.yaml"
        write_text(task_file, propose_config(table.columns, table.rows, None, str(path.resolve())))
        # A measurement of dirty data must not refuse it: what cannot be read is counted.
        found = _unsplit(task_file, max_bad_ratio=1)
    return replace(found, name=inner.stem)


def record_material(name: str, records: Sequence[Record], documents: Sequence[Document] = ()) -> Material:
    """Rows without a task: what their answers are is read off them."""
    chinese = sum(language_of(record.question) == "zh" for record in records)
    language: Language = "zh" if 2 * chinese > len(records) else "en"
    return Material(
        name, kind_of([record.answer for record in records]), language, tuple(records), None, tuple(documents)
    )


def kind_of(answers: Sequence[str]) -> OutputKind:
    """'label' where short answers keep coming back, 'json' where all are objects, else 'text'."""
    said = [answer for answer in answers if answer.strip()]
    if not said:
        return "text"
    if all(map(_is_object, said)):
        return "json"
    short = max(map(len, said)) <= _LABEL_LENGTH
    return "label" if short and len(said) >= _LABEL_REPEATS * len(set(said)) else "text"


def _is_object(text: str) -> bool:
    try:
        return isinstance(read_json(text), dict)
    except ValueError:
        return False
