"""What is known of one version of a data set: where its rows come from, and what was done to them."""

from __future__ import annotations

from typing import Any

from rung.core.task import Frozen


class Source(Frozen):
    """A file that rows came from."""

    name: str
    sha256: str = ""
    rows: int = 0
    format: str = ""
    encoding: str = ""
    licence: str = ""
    """SPDX name, or a team's own word such as 'own' or 'contract'; '' where nobody has said."""
    url: str = ""
    note: str = ""


class Sample(Frozen):
    """One row before and after a step, to look at."""

    id: str
    before: str
    after: str
    """'' where the step dropped the row."""
    where: str = ""
    """The path of the text inside the row, as 'inputs.question'."""


class Step(Frozen):
    """Something that was done to the rows, with what it did."""

    name: str
    """import, clean.html, mask, forget, split, label, draft, ..."""
    arguments: dict[str, Any] = {}
    rows_before: int = 0
    rows_after: int = 0
    touched: int = 0
    """Rows whose content it changed."""
    counts: dict[str, int] = {}
    """Its own counts, by kind: {'phone': 12}."""
    samples: tuple[Sample, ...] = ()


class Version(Frozen):
    """One state of a data set. Its id is the hash of its rows, so the same rows have the same id wherever they are."""

    id: str
    parent: str = ""
    made: str
    """UTC, ISO 8601."""
    steps: tuple[Step, ...] = ()
    """What was done since the parent."""
    sources: tuple[Source, ...] = ()
    """All files that any row comes from, the parent's included."""
    rows: int
    splits: dict[str, int] = {}
    kinds: dict[str, int] = {}
    languages: dict[str, int] = {}
    synthetic: int = 0
    forgotten: int = 0
    """Rows taken out of this version after it was made, at a person's request."""
    rung: str = ""
    """The release of Rung that wrote it."""
    files: dict[str, dict[str, Any]] = {}
    """Size and SHA-256 of its files."""
    schema_version: int = 1

    @property
    def unlicensed(self) -> tuple[Source, ...]:
        """Sources for which nobody has said under what licence they stand."""
        return tuple(source for source in self.sources if not source.licence)
