"""Where a data command's rows come from, a data set or a plain file, and where its result goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.data.record import Record
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

    Raises as reading either does.
    """
    from rung.data.versions.dataset import DataSet, Reference, is_dataset

    reference = Reference.parse(where)
    if is_dataset(reference.folder):
        dataset = DataSet(reference.folder)
        version = dataset.version(reference.version)
        return Rows(dataset.read(version.id), dataset, version.sources, version.id)
    from rung.data.formats.read import read_records

    read = read_records(Path(where))
    return Rows(read.records, None, (read.source,))


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
