"""Records about judges and raters: a judge's licence, and the before/after table of a run's dimensions."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from rung.core.durable import write_json
from rung.core.errors import UsageError
from rung.core.task import Frozen
from rung.store.records import Interval, Text
from rung.store.runs import reading

R = TypeVar("R", bound=Frozen)
SCHEMA = 1
TABLES = ("people", "judge")
"""Whose marks a table can hold; each lies in a file of its own, `dimensions.<source>.json`."""
OLD_TABLE = "dimensions.json"
"""Where either lay before they had files of their own."""
MAX_FAILURES = 0.1
"""Share of items that a judge may leave without a usable reply."""
LICENCE = Path("judge.json")
"""Where a licence is written and looked for, in the working folder, unless somebody says otherwise."""


class AgreementRecord(Frozen):
    """How well a judge agrees with people on one dimension."""

    dimension: str
    n: int
    """Labelled items that the judge gave a usable reply for."""
    questions: int
    """Independent questions (or groups) behind them: what was resampled."""
    kappa: Interval
    """Cohen's; quadratic weights where the marks are an order of three or more. 95 %, whole questions resampled."""
    accuracy: Interval
    """Share of items on which the judge says what the people say."""
    length_bias: Interval
    """Grades: how much more generous the judge is than people with answers longer than the middle one, as against shorter
    ones, as a share of the scale. Preferences: how much more often than people it prefers the longer answer."""
    failed: int
    """Items without a usable reply of the judge."""
    failures: dict[str, int] = {}
    """The same by kind: refused, garbage, empty, ..."""
    licensed: bool
    needed: int | None = None
    """Further labels that would decide it, as estimated; None where more labels will not help."""

    @property
    def verdict(self) -> Literal["licensed", "silent", "needs", "poor"]:
        """Licensed, or what stands in the way: too many replies of no use, too few labels, or too little agreement."""
        if self.licensed:
            return "licensed"
        if self.failed > MAX_FAILURES * (self.n + self.failed):
            return "silent"
        return "poor" if self.needed is None else "needs"


class Licence(Frozen):
    """Whether a judge's marks may be shown as evidence, dimension by dimension. Written as `judge.json`."""

    schema_version: int = SCHEMA
    judge: str
    """Hash of the model, the prompts, the dimensions and the scale: any change needs a new licence."""
    model: str
    mode: Literal["grade", "prefer"]
    scale: tuple[str, ...] = ()
    labels: str
    """SHA-256 of the file of human labels."""
    raters: int
    rater_agreement: Interval | None = None
    """Krippendorff's alpha over the items that several raters saw; None with one rater."""
    least_labels: int
    threshold: float
    """The lower end of kappa's interval must reach it."""
    position_bias: Interval | None = None
    """Preferences only: 1 = always the answer shown first, -1 = always the second."""
    swayed: Interval | None = None
    """Preferences only: share of pairs whose verdict changed with the order."""
    dimensions: tuple[AgreementRecord, ...]
    created: str = ""

    def of(self, dimension: str) -> AgreementRecord | None:
        return next((found for found in self.dimensions if found.dimension == dimension), None)


class SystemMark(Frozen):
    """One system's mean mark on one dimension, on the scale's own numbers."""

    candidate: str
    name: str
    mean: Interval
    marked: int
    failed: int
    """Answers that are missing, and answers without a usable mark."""


class DimensionRow(Frozen):
    """One dimension: every system, and the change from before to after on the questions that both have marks for."""

    name: str
    definition: str
    low: float
    high: float
    """Ends of the scale."""
    systems: tuple[SystemMark, ...]
    change: Interval
    """after - before, paired; 95 % for all dimensions at once, whole groups resampled."""
    pairs: int
    """Questions behind the change."""
    withheld: Text | None = None
    """Why a judge's marks are not shown: then there are no systems and no change."""


class DimensionTable(Frozen):
    """`dimensions.<source>.json` in a run folder: mean marks before and after, from people or from a licensed judge."""

    schema_version: int = SCHEMA
    source: Literal["people", "judge"]
    judge: str = ""
    """Name of the judging model."""
    raters: tuple[str, ...] = ()
    rater_agreement: Interval | None = None
    before: str
    after: str
    rows: tuple[DimensionRow, ...]
    note: Text | None = None


def read_licence(path: Path) -> Licence:
    """Raises UsageError E1305 where there is none, DataError E2901 for a damaged one."""
    return _read(path, Licence)


def find_licence(path: Path | None = None) -> Licence | None:
    """The licence of a file; without a path that of LICENCE, or None where nobody has written one there.

    Raises what `read_licence` raises: a file that was named must be there.
    """
    if path is None and not LICENCE.is_file():
        return None
    return read_licence(path or LICENCE)


def write_licence(path: Path, licence: Licence) -> None:
    """Write a judge's licence, whole or not at all."""
    write_json(path, licence.model_dump(mode="json"))


def read_tables_of(run: Path) -> tuple[DimensionTable, ...]:
    """The dimension tables of a run folder, people's first; none where nobody has judged its answers."""
    found = [_read(path, DimensionTable) for source in TABLES if (path := _table(run, source)).is_file()]
    if (run / OLD_TABLE).is_file():
        old = _read(run / OLD_TABLE, DimensionTable)
        found += [old] if old.source not in {table.source for table in found} else []
    return tuple(sorted(found, key=lambda table: TABLES.index(table.source)))


def write_table(run: Path, table: DimensionTable) -> None:
    """Keep the table in a run folder, in place of an earlier one from the same source."""
    write_json(_table(run, table.source), table.model_dump(mode="json"))


def _table(run: Path, source: str) -> Path:
    return run / f"dimensions.{source}.json"


def _read(path: Path, kind: type[R]) -> R:
    if not path.is_file():
        raise UsageError("E1305", path=path)
    with reading(path):
        return kind.model_validate_json(path.read_bytes())
