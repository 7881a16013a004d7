"""`rung data import`, `export` and `schema`: rows from any known format into a data set, and out of it again."""

from __future__ import annotations

import json as json_module
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rung.cli import commands
from rung.cli.options import AsJson
from rung.cli.spoken import own_language, say, say_finding, spoken
from rung.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from rung.core.task import SplitName
    from rung.data.findings import Finding
    from rung.data.formats.detect import Detected
    from rung.data.formats.read import ReadRecords
    from rung.data.record import Record
    from rung.data.versions.version import Source, Step, Version

_SHOWN = 20
_WIDE = 200
"""Characters of a row that are shown before anything is imported."""


@dataclass(frozen=True)
class Reading:
    """How a file is read; what is left open is found out."""

    format: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Column by field: {'question': 'text', 'answer': 'category'}."""
    encoding: str | None = None
    max_bad_ratio: float = 0.01
    dedupe: Literal["keep-first"] | None = None
    merge_labels: Path | None = None


@dataclass(frozen=True)
class About:
    """What is said of all rows of a file."""

    licence: str = ""
    """SPDX name, or a team's own word such as 'own' or 'contract'."""
    source: str = ""
    """Where it was got, a URL."""
    split: SplitName | None = None


@dataclass(frozen=True)
class Imported:
    """What an import made."""

    version: Version
    detected: Detected
    findings: tuple[Finding, ...]
    merges: Mapping[str, str]
    """Labels that could be written one way; a suggestion."""
    rejects: Path | None
    """The rows that could not be used, with reasons; None without any."""
    rejected: int = 0
    """How many they are."""


def import_data(
    path: str | Path, to: str | Path, *, how: Reading | None = None, about: About | None = None, append: bool = False
) -> Imported:
    """Read a file or folder and keep its rows as a version of the data set `to`.

    `append` adds them to the rows that are there; those that are there already to the letter are not added again. Unusable
    rows go to `<to>.rejects.jsonl`. Raises as `read_records`, `read_merges` and `DataSet.commit` do; DataError E2241 for
    ids that other rows of the data set have.
    """
    from rung.cli.data.rows import keep_rejects
    from rung.data.findings import Finding
    from rung.data.formats.import_checks import check_labels, merge_labels, read_merges
    from rung.data.formats.read import read_records
    from rung.data.privacy.redact import redact
    from rung.data.rejects import TooManyRejects
    from rung.data.versions.dataset import DataSet, is_dataset

    how, about, folder = how or Reading(), about or About(), Path(to)
    merges = read_merges(how.merge_labels) if how.merge_labels else {}
    try:
        read = read_records(
            Path(path),
            format=how.format,
            mapping=how.mapping,
            encoding=how.encoding,
            max_bad_ratio=how.max_bad_ratio,
            dedupe=how.dedupe,
        )
    except TooManyRejects as error:
        keep_rejects(folder, error.rejects)
        raise
    records: Sequence[Record] = _told(read.records, about)
    steps: list[Step] = []
    if merges:
        merged = merge_labels(records, merges)
        records = merged.records
        steps.append(merged.step)
    checked = check_labels(records)
    findings = [*read.findings, *checked.findings]
    if checked.merges:
        told = json_module.dumps(dict(checked.merges), ensure_ascii=False)
        findings.append(Finding("info", "E2267", {"merges": told}))
    there: Sequence[Record] = ()
    new = len(records)
    if append and is_dataset(folder):
        there = DataSet(folder).read()
        changed = _changed(there, records)
        listed = ", ".join(map(redact, changed[:_SHOWN])) + (", ..." if len(changed) > _SHOWN else "")
        if changed and how.dedupe is None:
            raise DataError("E2241", Path(path).name, n=len(changed), ids=listed)
        if changed:
            findings.append(Finding("warning", "E2284", {"n": len(changed), "ids": listed}, tuple(changed)))
        records = _added(there, records)
        new = len(records) - len(there)
        if new + len(changed) < len(read.records):
            findings.append(Finding("info", "E2265", {"n": len(read.records) - new - len(changed)}))
    source = read.source.model_copy(update={"licence": about.licence, "url": about.source})
    steps.insert(0, _step(read, about, len(there), new))
    version = DataSet(folder).commit(records, steps, sources=[source], anew=not append)
    kept = keep_rejects(folder, read.rejects)
    return Imported(version, read.detected, tuple(findings), checked.merges, kept, len(read.rejects))


def _told(records: Sequence[Record], about: About) -> list[Record]:
    """Records with what is said of all of them. Rows named after their content keep apart between splits."""
    from rung.data.formats.row import MADE_ID

    told = []
    for record in records:
        said: dict[str, Any] = {}
        if about.licence and not record.licence:
            said["licence"] = about.licence
        if about.split:
            said["split"] = about.split
            if MADE_ID.fullmatch(record.id):
                said["id"] = f"{about.split}-{record.id}"
        told.append(record.model_copy(update=said) if said else record)
    return told


def _changed(there: Sequence[Record], records: Sequence[Record]) -> list[str]:
    """Ids of rows that are there already, and say something else."""
    known = {record.id: _content(record) for record in there}
    return [record.id for record in records if known.get(record.id, _content(record)) != _content(record)]


def _added(there: Sequence[Record], records: Sequence[Record]) -> list[Record]:
    known = {record.id for record in there}
    return [*there, *(record for record in records if record.id not in known)]


def _content(record: Record) -> Any:
    return record.split, record.model_copy(update={"source": "", "licence": ""}).hash


def _step(read: ReadRecords, about: About, before: int, new: int) -> Step:
    from rung.data.versions.version import Step

    arguments = {
        "file": read.source.name,
        "format": read.format,
        "mapping": dict(read.mapping),
        "encoding": read.source.encoding,
        "split": about.split or "",
    }
    rejected = Counter(f"rejected {reject.code}" for reject in read.rejects)
    return Step(
        name="import",
        arguments={key: value for key, value in arguments.items() if value},
        rows_before=before,
        rows_after=before + new,
        touched=new,
        counts={"read": len(read.records) + len(read.rejects), "rejected": len(read.rejects), **rejected},
    )


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    path: Path
    rows: int
    findings: tuple[Finding, ...]


def export_data(
    where: str | Path,
    out: str | Path,
    *,
    format: str | None = None,
    split: str | None = None,
    acknowledge_unlicensed: bool = False,
    skip_unfit: bool = False,
) -> Exported:
    """Write the rows of a data set ('datasets/desk', 'datasets/desk@1a2b') or of a file in any known format.

    Raises UsageError E2246 where nobody has said under what licence a source stands, E2266 for a split without rows; as
    `write_records` does for the rest.
    """
    from rung.cli.data.rows import open_rows
    from rung.data.formats.write import convert, write_converted

    rows = open_rows(where)
    unlicensed = _unlicensed(rows.records, rows.sources)
    if unlicensed and not acknowledge_unlicensed:
        raise UsageError("E2246", str(where), sources=", ".join(sorted(unlicensed)))
    records = [record for record in rows.records if split is None or record.split == split]
    if not records:
        raise UsageError("E2266", path=where, split=split or "-")
    converted = convert(records, Path(out), format)
    path = write_converted(converted, Path(out), format, skip_unfit=skip_unfit)
    # A file of one split says by itself which one it is.
    told = [f for f in converted.findings if not (split and f.code == "E2253" and f.values["field"] == "split")]
    return Exported(path, len(converted.rows), tuple(told))


def _unlicensed(records: Sequence[Record], sources: Sequence[Source]) -> set[str]:
    """Sources of unknown licence; one that no row comes from any more is left aside where all rows name theirs."""
    named = {record.source.rpartition(":")[0] for record in records}
    known = {source.name for source in sources}
    found = {source.name for source in sources if not source.licence}
    return found & named if named <= known else found


def data_schema() -> str:
    """The JSON Schema of Rung's records: the standard that all formats map to."""
    from rung.data.formats.schema import kept_schema

    return kept_schema()


def import_command(
    path: Annotated[Path, typer.Argument(help="a file, or a folder in BEIR or LLaMA-Factory form", metavar="FILE")],
    to: Annotated[Path, typer.Option(help="the data set's folder, such as datasets/desk")],
    format: Annotated[
        str | None, typer.Option("--format", "-F", help="name of the format; found out when absent")
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option("--map", help="FIELD=COLUMN, such as question=text, answer=label or group=customer"),
    ] = None,
    licence: Annotated[str, typer.Option(help="SPDX name of the licence, or a word such as 'own'")] = "",
    source: Annotated[str, typer.Option(help="where the file was got, a URL")] = "",
    split: Annotated[str | None, typer.Option(help="train, dev or test: what all rows of the file are for")] = None,
    append: Annotated[
        bool, typer.Option("--append", help="add to the rows of the data set instead of replacing them")
    ] = False,
    dedupe: Annotated[str | None, typer.Option(help="keep-first: of rows with one id, keep the first")] = None,
    merge_labels: Annotated[
        Path | None, typer.Option(help="JSON or CSV that says which label is written as which")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="text encoding; detected when absent")] = None,
    max_bad: Annotated[float, typer.Option(help="share of unusable rows above which nothing is imported")] = 0.01,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="take the format and mapping as they are found")] = False,
    json: AsJson = False,
) -> None:
    """Read examples of any known format and keep them as a version of a data set.

    Shows the format, the mapping and three rows first, and asks; in a script, say --yes or --format.

    Example: **rung data import train.csv --to datasets/desk --licence own --split train**
    """
    from rung.cli.data.rows import rejects_beside
    from rung.data.formats.detect import detect
    from rung.data.rejects import TooManyRejects

    language = own_language()
    if split not in (None, "train", "dev", "test"):
        raise UsageError("E2242", "--split", value=split)
    if dedupe not in (None, "keep-first"):
        raise UsageError("E2269", value=dedupe)
    mapping = _mapping(map or [])
    if format is None:
        detected = detect(path, mapping=mapping, encoding=encoding)
        _show(detected, language)
        if not yes:
            _confirm(detected, language)
    how = Reading(format, mapping, encoding, max_bad, "keep-first" if dedupe else None, merge_labels)
    try:
        made = import_data(path, to, how=how, about=About(licence, source, split), append=append)  # type: ignore[arg-type]
    except TooManyRejects as error:
        say(spoken("data.rejects", language, n=len(error.rejects), path=rejects_beside(to)))
        raise
    if format is not None:
        _show(made.detected, language)
    for finding in made.findings:
        say_finding(finding, language)
    if made.rejects:
        say(spoken("data.rejects", language, n=made.rejected, path=made.rejects))
    if json:
        print(
            commands.to_json(
                {
                    "version": made.version.model_dump(mode="json", exclude={"files"}),
                    "findings": [finding.to_json() for finding in made.findings],
                    "merges": dict(made.merges),
                    "rejects": str(made.rejects) if made.rejects else None,
                }
            )
        )
    else:
        print(spoken("data.imported", language, path=to, version=made.version.id, n=made.version.rows))


def export_command(
    where: Annotated[
        str, typer.Argument(help="a data set's folder (or FOLDER@VERSION), or a file", metavar="DATASET|FILE")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="the file to write; a folder for beir and llamafactory")],
    format: Annotated[
        str | None, typer.Option("--format", "-F", help="name of the format; by the file's name when absent")
    ] = None,
    split: Annotated[str | None, typer.Option(help="only the rows of this split")] = None,
    acknowledge_unlicensed: Annotated[
        bool, typer.Option("--acknowledge-unlicensed", help="export although the licence of a source is unknown")
    ] = False,
    skip_unfit: Annotated[
        bool, typer.Option("--skip-unfit", help="leave out rows that the format has no place for")
    ] = False,
    json: AsJson = False,
) -> None:
    """Write the rows of a data set in any known format, and say what the format has no place for.

    Example: **rung data export datasets/desk --format llamafactory -o train/desk.json --split train**
    """
    language = own_language()
    made = export_data(
        where,
        out,
        format=format,
        split=split,
        acknowledge_unlicensed=acknowledge_unlicensed,
        skip_unfit=skip_unfit,
    )
    for finding in made.findings:
        say_finding(finding, language)
    if json:
        findings = [finding.to_json() for finding in made.findings]
        print(commands.to_json({"path": str(made.path), "rows": made.rows, "findings": findings}))
    else:
        print(made.path)
        say(spoken("data.exported", language, n=made.rows))


def schema_command() -> None:
    """Print the JSON Schema of Rung's records, the standard that every format maps to."""
    print(data_schema(), end="")


def _mapping(said: Sequence[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in said]
    for name, mark, column in pairs:
        if not (name and mark and column):
            raise UsageError(
                "E2233", "--map", column="=".join(part for part in (name, column) if part), known="FIELD=COLUMN"
            )
    return {name: column for name, _, column in pairs}


def _show(detected: Detected, language: Literal["en", "zh"]) -> None:
    """What a file seems to be: format, reason, mapping and three rows. Talk, so that stdout stays data."""
    from rung.data.privacy.redact import redact

    told = ", ".join(filter(None, (detected.dialect, detected.encoding))) or "-"
    say(spoken("data.format", language, format=detected.format, told=told, why=detected.why.message(language)))
    for name, column in detected.mapping.items():
        say(f"  {name} <- {column}")
    for row in detected.rows:
        # What is said here ends in the logs of whoever runs this in a script.
        text = redact(json_module.dumps(row, ensure_ascii=False))
        say("  " + (text if len(text) <= _WIDE else text[:_WIDE] + " ..."))


def _confirm(detected: Detected, language: Literal["en", "zh"]) -> None:
    """Ask on a terminal; elsewhere say what to add. Raises UsageError E2245 without a yes."""
    if sys.stdin.isatty() and sys.stderr.isatty():
        sure = "" if detected.sure else spoken("data.unsure", language)
        if typer.confirm(spoken("data.confirm", language, unsure=sure), default=detected.sure, err=True):
            return
    inputs = {name.removeprefix("inputs."): column for name, column in detected.mapping.items()}
    mapping = "".join(
        f" --map {json_module.dumps(f'{name}={column}', ensure_ascii=False)}" for name, column in inputs.items()
    )
    raise UsageError("E2245", format=detected.format, mapping=mapping)
