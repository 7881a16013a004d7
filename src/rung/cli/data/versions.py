"""`rung data log`, `show`, `diff` and `card`: what a data set holds, where it comes from, and how it came to be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang
from rung.cli.spoken import asked_language, own_language, say, spoken, visible

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.data.versions.diff import Diff
    from rung.data.versions.version import Version

DataSetRef = Annotated[
    str, typer.Argument(help="a data set's folder, or one of its versions as FOLDER@VERSION", metavar="DATASET")
]
_SHOWN = 3


def data_log(dataset: str | Path) -> list[Version]:
    """The versions that led to one, newest first. Raises as DataSet.history does."""
    from rung.data.versions.dataset import DataSet, Reference

    reference = Reference.parse(dataset)
    return DataSet(reference.folder).history(reference.version)


def data_diff(before: str | Path, after: str | Path = "") -> Diff:
    """What differs between two versions; a data set alone is compared with the version before it.

    Raises UsageError E2726 for a first version alone, and as DataSet.read does.
    """
    from rung.core.errors import UsageError
    from rung.data.versions.dataset import DataSet, Reference
    from rung.data.versions.diff import diff

    first = Reference.parse(before)
    old = DataSet(first.folder)
    if after:
        second = Reference.parse(after)
        return diff(old.read(first.version), DataSet(second.folder).read(second.version))
    now = old.version(first.version)
    if not now.parent:
        raise UsageError("E2726", path=first.folder, version=now.id)
    return diff(old.read(now.parent), old.read(now.id))


def data_card(dataset: str | Path, *, language: Language = "en") -> str:
    """The datasheet of a version, as Markdown with the head of a Hugging Face card."""
    from rung.data.versions.dataset import DataSet, Reference
    from rung.reporting.datasheet import datasheet

    reference = Reference.parse(dataset)
    return datasheet(DataSet(reference.folder), reference.version, language)


def log_command(dataset: DataSetRef, json: AsJson = False) -> None:
    """List the versions that led to a data set's current one, newest first, with what was done.

    Example: **rung data log datasets/desk**
    """
    versions = data_log(dataset)
    if json:
        print(commands.to_json([version.model_dump(mode="json", exclude={"files"}) for version in versions]))
        return
    for version in versions:
        print(f"{version.id}  {version.made}  {version.rows:>8,}  {_steps(version)}")


def _steps(version: Version) -> str:
    return ", ".join(
        step.name + (f" ({step.rows_before:,} -> {step.rows_after:,})" if step.rows_before != step.rows_after else "")
        for step in version.steps
    )


def show_command(
    dataset: DataSetRef,
    rows: Annotated[int, typer.Option(help="rows to show")] = _SHOWN,
    json: AsJson = False,
) -> None:
    """Show a version: counts, sources, and its first rows.

    Example: **rung data show datasets/desk@1a2b3c --rows 5**
    """
    from rung.data.versions.dataset import DataSet, Reference

    reference = Reference.parse(dataset)
    found = DataSet(reference.folder)
    version, records = found.version(reference.version), found.read(reference.version)[:rows]
    if json:
        about = version.model_dump(mode="json", exclude={"files"})
        print(commands.to_json(about | {"first": [record.to_json() for record in records]}))
        return
    language = own_language()
    no_split = spoken("data.no_split", language)
    splits = ", ".join(f"{name or no_split} {n:,}" for name, n in version.splits.items())
    print(spoken("data.version", language, id=version.id, made=version.made, rows=f"{version.rows:,}", splits=splits))
    for source in version.sources:
        licence = source.licence or spoken("data.unlicensed", language)
        print(f"  {source.name}  {source.rows:,}  {source.format}  {licence}")
    for record in records:
        print(commands.to_json(record.to_json()))


def diff_command(
    before: DataSetRef,
    after: Annotated[
        str, typer.Argument(help="the later one; the current version against its parent when absent")
    ] = "",
    show: Annotated[int, typer.Option(help="changed rows to show")] = 5,
    json: AsJson = False,
) -> None:
    """Say what differs between two versions: rows added, removed, moved to another split, and changed.

    Example: **rung data diff datasets/desk@1a2b3c datasets/desk**
    """
    from dataclasses import asdict

    found = data_diff(before, after)
    if json:
        print(commands.to_json(asdict(found)))
        return
    language = own_language()
    counts = {name: f"{len(getattr(found, name)):,}" for name in ("added", "removed", "moved", "changed")}
    print(spoken("data.diff", language, **counts, same=f"{found.same:,}"))
    for sign, ids in (("+", found.added), ("-", found.removed)):
        if ids:
            print(f"  {sign} {_listed(ids)}")
    for id, was, now in found.moved[:show]:
        print(f"  > {id}: {was or '-'} -> {now or '-'}")
    for change in found.changed[:show]:
        print(f"  ~ {change.id} ({', '.join(change.fields)})")
        if change.before or change.after:
            print(f"    - {_line(change.before)}\n    + {_line(change.after)}")


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids[:8]) + (" ..." if len(ids) > 8 else "")


def _line(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= 160 else shown[:157] + "..."


def card_command(
    dataset: DataSetRef,
    out: Annotated[Path | None, typer.Option(help="file to write, for example README.md; stdout when absent")] = None,
    lang: OwnLang = None,
) -> None:
    """Write the datasheet: sources, licences, steps, counts, limits; in the form of a Hugging Face card.

    Example: **rung data card datasets/desk --out README.md**
    """
    from rung.core.durable import write_text

    card = data_card(dataset, language=asked_language(lang) or own_language())
    if out is None:
        print(card, end="")
        return
    write_text(out, card)
    say(str(out))
