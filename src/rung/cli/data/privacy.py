"""`rung data privacy`, `mask` and `unmask`: personal data counted, masked, and given back to whoever holds the map."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rung.cli import commands
from rung.cli.options import AsJson
from rung.cli.spoken import own_language, say, spoken

if TYPE_CHECKING:
    from rung.core.task import Language
    from rung.data.privacy.survey import Piece, Survey
    from rung.data.versions.dataset import DataSet
    from rung.data.versions.version import Step, Version

    Progress = Callable[[float, float, str], None]

_ROWS = frozenset({".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx"})
_LOOK_AT = 10


@dataclass(frozen=True)
class MaskRun:
    """What masking did, and where the result is."""

    step: Step
    kept: Version | Path
    left: Survey
    """What is still found in the result."""
    earlier: tuple[str, ...] = ()
    """Versions of the same data set that still hold the values."""

    def to_json(self) -> dict[str, Any]:
        return {
            "kept": str(self.kept) if isinstance(self.kept, Path) else self.kept.id,
            "rows": self.step.rows_after,
            "touched": self.step.touched,
            "before": self.step.counts,
            "after": {count.kind: count.found for count in self.left.counts},
            "arguments": self.step.arguments,
            "earlier_versions": list(self.earlier),
        }


def find_personal_data(
    where: str | Path,
    *,
    kinds: Sequence[str] | None = None,
    language: Language | None = None,
    progress: Progress | None = None,
) -> Survey:
    """Count personal data in a data set, a file of rows, a document or a folder of documents. No value is in the result.

    `kinds`: names of kinds, ['all'], or None for the usual ones. `language`: only that language's names and addresses.
    Raises UsageError E2910 for an unknown kind, and as reading does.
    """
    from rung.data.privacy.kinds import wanted
    from rung.data.privacy.survey import Piece, survey, survey_records
    from rung.data.versions.dataset import Reference, is_dataset

    wanted(None if kinds is None else tuple(kinds))
    path = Path(where)
    if is_dataset(Reference.parse(where).folder) or path.suffix.lower() in _ROWS:
        from rung.cli.data.rows import open_rows

        return survey_records(open_rows(where).records, kinds, language, progress=progress)
    from rung.data.documents import read_documents

    read = read_documents(path, progress=progress)
    rows: list[tuple[str, list[Piece]]] = [(found.id, [Piece("", found.text)]) for found in read.documents]
    return survey(rows, kinds, language)


def mask_data(
    where: str | Path,
    *,
    style: Literal["tag", "surrogate", "partial"] = "tag",
    kinds: Sequence[str] | None = None,
    language: Language | None = None,
    reversible: Path | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> MaskRun:
    """Mask personal data: into the next version of a data set, or into `out` (a file, or a new data set without a past).

    `reversible`: file of the map by which `unmask_data` gives the values back; none is kept without it. Raises UsageError
    E2910, E2911 (a map beside the data), E2914, E2917, E2727, and as reading and writing do.
    """
    from rung.cli.data.rows import keep_rows, open_rows
    from rung.core.errors import UsageError
    from rung.data.privacy.kinds import wanted
    from rung.data.privacy.mask import Masker
    from rung.data.privacy.mask_map import MaskMap, refuse_near
    from rung.data.privacy.survey import survey_records
    from rung.data.versions.dataset import DataSet

    wanted(None if kinds is None else tuple(kinds))
    rows = open_rows(where)
    if rows.dataset is None and out is None:
        raise UsageError("E2727")
    kept_map: MaskMap | None = None
    if reversible is not None:
        home = rows.dataset.folder if rows.dataset is not None else None
        refuse_near(reversible, home, (out if not out.suffix else out.parent) if out is not None else None)
        kept_map = MaskMap.read(reversible) if reversible.exists() else MaskMap()
    masker = Masker(style, kinds, language, kept_map, _numbers(rows.dataset))
    masked = masker.records(rows.records, progress)
    step = masker.step(len(masked))
    if kept_map is not None and reversible is not None:
        # First the map: masked rows without one could never be undone.
        kept_map.write(reversible)
    kept: Version | Path
    if out is not None and not out.suffix:
        kept = DataSet(out).commit(masked, [*rows.past(), step], sources=rows.sources)
    elif rows.dataset is not None and out is None and not step.touched:
        kept = rows.dataset.version()
    else:
        kept = keep_rows(rows, masked, [step], out)
    earlier: tuple[str, ...] = ()
    if rows.dataset is not None and out is None and step.touched:
        earlier = tuple(version.id for version in rows.dataset.history()[1:])
    return MaskRun(step, kept, survey_records(masked, kinds, language), earlier)


def unmask_data(where: str | Path, *, map: Path, out: Path) -> Path | Version:
    """Write masked rows with their values again, by the map that masking kept, into a file or a new data set `out`.

    Raises UsageError E2912 without the map, E2916 for the map of another masking, DataError E2913 for a damaged one.
    """
    from rung.cli.data.rows import keep_rows, open_rows
    from rung.core.errors import UsageError
    from rung.data.privacy.mask import unmask_records
    from rung.data.privacy.mask_map import MaskMap
    from rung.data.versions.dataset import DataSet
    from rung.data.versions.version import Step

    kept = MaskMap.read(map)
    rows = open_rows(where)
    if rows.dataset is not None:
        known = {step.arguments.get("map") for step in _mask_steps(rows.dataset)}
        if kept.id not in known:
            raise UsageError("E2916", path=map, dataset=rows.dataset.folder)
    restored = unmask_records(rows.records, kept)
    touched = sum(before != after for before, after in zip(rows.records, restored, strict=True))
    step = Step(name="unmask", rows_before=len(restored), rows_after=len(restored), touched=touched)
    if not out.suffix:
        return DataSet(out).commit(restored, [step], sources=rows.sources)
    return keep_rows(rows, restored, [step], out)


def _mask_steps(dataset: DataSet) -> Iterator[Step]:
    for version in dataset.history():
        yield from (step for step in version.steps if step.name == "mask")


def _numbers(dataset: DataSet | None) -> dict[str, int]:
    """The last number that earlier masks of a data set gave out, by tag."""
    last: dict[str, int] = {}
    for step in _mask_steps(dataset) if dataset is not None else ():
        for tag, n in step.arguments.get("last", {}).items():
            last[tag] = max(last.get(tag, 0), int(n))
    return last


Kinds = Annotated[
    list[str] | None,
    typer.Option("--kinds", help="kinds to look for, several after commas; all; the usual ones when absent"),
]
Where = Annotated[
    str, typer.Argument(help="a data set, a file of rows, a document or a folder of documents", metavar="DATA")
]
OnlyLanguage = Annotated[
    str | None, typer.Option("--text-lang", help="en or zh: look only for that language's names and addresses")
]


def privacy_command(where: Where, kinds: Kinds = None, text_lang: OnlyLanguage = None, json: AsJson = False) -> None:
    """Count personal data by kind, with masked examples and the rows to look at. Values are never shown.

    Example: **rung data privacy datasets/desk --kinds phone,id_card**
    """
    from rung.cli.screen import Screen
    from rung.cli.spoken import asked_language

    language = own_language()
    with Screen(language) as screen:
        found = find_personal_data(
            where,
            kinds=_split(kinds),
            language=asked_language(text_lang),
            progress=screen.bar(spoken("privacy.looking", language)).update,
        )
    if json:
        print(commands.to_json(found.to_json()))
    else:
        _show(found, language)


def mask_command(
    where: Annotated[str, typer.Argument(help="a data set or a file of rows", metavar="DATA")],
    style: Annotated[
        str, typer.Option(help="tag: [PHONE_3]; surrogate: a stand-in that is never valid; partial: 138******00")
    ] = "tag",
    kinds: Kinds = None,
    text_lang: OnlyLanguage = None,
    reversible: Annotated[
        Path | None,
        typer.Option(help="keep the map here, apart from the data, so that unmask can undo it", metavar="MAP"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="a file, or the folder of a new data set that has no past")] = None,
    json: AsJson = False,
) -> None:
    """Mask personal data; the same person or number gets the same pseudonym in all rows. Without a map, for good.

    Example: **rung data mask datasets/desk --out datasets/desk-masked --reversible ~/maps/desk.json**
    """
    from rung.cli.screen import Screen
    from rung.cli.spoken import asked_language
    from rung.core.errors import UsageError

    if style not in {"tag", "surrogate", "partial"}:
        raise UsageError("E2918", style=style)
    language = own_language()
    with Screen(language) as screen:
        done = mask_data(
            where,
            style=style,  # type: ignore[arg-type]
            kinds=_split(kinds),
            language=asked_language(text_lang),
            reversible=reversible,
            out=out,
            progress=screen.bar(spoken("privacy.masking", language)).update,
        )
    if json:
        print(commands.to_json(done.to_json()))
        return
    after = {count.kind: count.found for count in done.left.counts}
    for kind in {**done.step.counts, **after}:
        values = {"kind": _word(kind, language), "before": done.step.counts.get(kind, 0), "after": after.get(kind, 0)}
        print(spoken("privacy.masked", language, **values))
    for sample in done.step.samples[:2]:
        print(f"  - {' '.join(sample.before.split())}\n  + {' '.join(sample.after.split())}")
    kept = str(done.kept) if isinstance(done.kept, Path) else done.kept.id
    print(spoken("privacy.kept", language, touched=done.step.touched, rows=done.step.rows_after, kept=kept))
    if done.earlier:
        say(spoken("privacy.earlier", language, n=len(done.earlier)))
    if reversible is not None:
        say(spoken("privacy.map", language, path=reversible))


def unmask_command(
    where: Annotated[str, typer.Argument(help="a masked data set or file of rows", metavar="DATA")],
    map: Annotated[Path, typer.Option("--map", help="the map that masking kept", metavar="MAP")],
    out: Annotated[Path, typer.Option(help="a file, or the folder of a new data set")],
) -> None:
    """Give masked rows their values back, by the map that **rung data mask --reversible** kept.

    Example: **rung data unmask datasets/desk-masked --map ~/maps/desk.json --out plain.jsonl**
    """
    kept = unmask_data(where, map=map, out=out)
    say(spoken("privacy.unmasked", own_language()))
    print(kept if isinstance(kept, Path) else out)


def _split(kinds: Sequence[str] | None) -> list[str] | None:
    return [name.strip() for given in kinds for name in given.split(",") if name.strip()] if kinds else None


def _word(kind: str, language: str) -> str:
    from rung.data.privacy.kinds import kinds

    return kinds()[kind].word(language)


def _show(found: Survey, language: str) -> None:
    print(spoken("privacy.sizes", language, rows=f"{found.rows:,}", touched=f"{found.touched:,}"))
    for count in found.counts:
        values = {"kind": _word(count.kind, language), "n": f"{count.found:,}", "rows": f"{count.rows:,}"}
        guesses = count.found - count.sure
        line = spoken("privacy.kind", language, **values, examples="  ".join(count.examples))
        print(line + (spoken("privacy.guesses", language, n=f"{guesses:,}") if guesses else ""))
    if found.look_at:
        rows = ", ".join(f"{row['row']} (#{row['place']})" for row in found.look_at[:_LOOK_AT])
        print(spoken("privacy.look_at", language, rows=rows))
