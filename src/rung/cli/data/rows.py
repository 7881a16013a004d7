"""Where a data command's rows come from, a data set or a plain file, and where its result goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rung.cli.spoken import own_language, say_finding
from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.data.record import Record
    from rung.data.rejects import Reject
    from rung.data.versions.dataset import DataSet
    from rung.data.versions.version import Source, Step, Version


@dataclass(frozen=True)
class Rows:
    """Rows that a command works on."""

    records: tuple[Record, ...]
    dataset: DataSet | None = None
    """The data set that they are of; None for a plain file."""
    sources: tuple[Source, ...] = ()
    version: str = ""
    """Id of the version that was read."""

    def past(self) -> tuple[Step, ...]:
        """What was done to them before, oldest first, without samples: for a new data set that must not hold old values."""
        history = self.dataset.history(self.version) if self.dataset is not None else []
        steps = [step for version in reversed(history) for step in version.steps]
        return tuple(step.model_copy(update={"samples": ()}) for step in steps)


def open_rows(where: str | Path) -> Rows:
    """The rows of a data set ('datasets/desk', 'datasets/desk@1a2b3c') or of a file in any format that Rung reads.

    Rows of a table that ask nothing are among them: what becomes of them is for cleaning to say. Rows that cannot be read are
    left out, which is told on stderr. Raises as reading either does.
    """
    from rung.data.versions.dataset import DataSet, Reference, is_dataset

    reference = Reference.parse(where)
    if is_dataset(reference.folder):
        dataset = DataSet(reference.folder)
        version = dataset.version(reference.version)
        return Rows(dataset.read(version.id), dataset, version.sources, version.id)
    from rung.data.formats.read import read_records

    read = read_records(Path(where), empty=True)
    tell_left_out(where, read.rejects)
    return Rows(read.records, None, (read.source,))


def tell_left_out(where: str | Path, rejects: Sequence[Reject]) -> None:
    """Say how many rows of a file could not be read, and why."""
    from rung.data.findings import Finding
    from rung.data.rejects import count_rejects

    if rejects:
        counts = ", ".join(f"{code}: {n}" for code, n in count_rejects(rejects).items())
        values = {"n": len(rejects), "name": Path(where).name, "counts": counts}
        say_finding(Finding("warning", "E2283", values), own_language())


def keep_rows(rows: Rows, records: Sequence[Record], steps: Sequence[Step], out: Path | None) -> Version | Path:
    """Keep a command's result: as the next version of its data set, or as JSONL in `out`.

    Raises UsageError E2727 for rows of a plain file with nowhere to go; as `DataSet.commit` and writing do.
    """
    if out is not None:
        from rung.data.formats.write import write_records

        return write_records(records, out)
    if rows.dataset is None:
        raise UsageError("E2727")
    return rows.dataset.commit(records, steps, sources=rows.sources)


def keep_rejects(dataset: Path, rejects: Sequence[Reject]) -> Path | None:
    """Write the rows that an import rejected beside the data set; those of an earlier import are no longer true.

    None where there are none. Raises WriteError.
    """
    from rung.data.rejects import write_rejects

    path = rejects_beside(dataset)
    if not rejects:
        path.unlink(missing_ok=True)
        return None
    write_rejects(path, rejects)
    return path


def rejects_beside(dataset: Path) -> Path:
    """The file of rejected rows that belongs to a data set."""
    return dataset.with_name(f"{dataset.name}.rejects.jsonl")
