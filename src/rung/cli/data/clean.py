"""`rung data clean` and `rung data undo`: named steps over rows, what each touched with samples, and the way back."""

from __future__ import annotations

import json as json_module
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import commands
from rung.cli.options import AsJson
from rung.cli.spoken import own_language, say, spoken, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text

    from rung.core.task import Language
    from rung.data.cleaning.run import Cleaned
    from rung.data.cleaning.wanted import Wanted
    from rung.data.versions.version import Sample, Step, Version

_SAMPLES = 2
_WIDE = 110
_COUNTS = 4


@dataclass(frozen=True)
class CleanRun:
    """What cleaning did, and where the result is."""

    cleaned: Cleaned
    kept: Version | Path | None
    """None where nothing was written: a dry run, or nothing to change."""
    boilerplate: dict[str, int]
    """Phrases that begin or end answers, by how many."""
    merges: tuple[tuple[str, ...], ...]
    """Labels that differ only in case, width, spaces or punctuation; merged only by a map."""


def clean_data(
    where: str | Path,
    wanted: Wanted | None = None,
    *,
    out: Path | None = None,
    dry_run: bool = False,
    progress: Callable[[float, float, str], None] | None = None,
) -> CleanRun:
    """Clean a data set into its next version, or a file into `out`; the rows before stay as they are.

    Raises UsageError E2727 for a plain file without `out`, and as `Wanted.names`, reading and `DataSet.commit` do.
    """
    from rung.cli.data.rows import keep_rows, open_rows
    from rung.core.errors import UsageError
    from rung.data.cleaning.run import clean_records
    from rung.data.cleaning.sets import boilerplate_in
    from rung.data.cleaning.wanted import Wanted
    from rung.data.labels import label_variants

    wanted = wanted or Wanted()
    asked = wanted.names
    rows = open_rows(where)
    if rows.dataset is None and out is None and not dry_run:
        raise UsageError("E2727")
    cleaned = clean_records(rows.records, wanted, progress)
    kept = None
    if not dry_run and (cleaned.changed or out is not None):
        kept = keep_rows(rows, cleaned.records, cleaned.steps, out)
    merges = label_variants(answer for row in cleaned.records for answer in row.answers) if cleaned.labels else []
    phrases = {} if cleaned.labels or "boilerplate" in asked else boilerplate_in(cleaned.records).counts
    return CleanRun(cleaned, kept, phrases, tuple(merges))


def undo_data(dataset: str | Path) -> Version:
    """Make the version before the current one current again; nothing is deleted. Raises UsageError E2726 without one."""
    from rung.data.versions.dataset import DataSet

    return DataSet(Path(dataset)).undo()


def clean_command(
    where: Annotated[str, typer.Argument(help="a data set's folder, or a file of rows", metavar="[DATASET|FILE]")] = "",
    steps: Annotated[str, typer.Option(help="only these steps, separated by commas; --list names them")] = "",
    skip: Annotated[str, typer.Option(help="steps to leave out, separated by commas")] = "",
    list_steps: Annotated[bool, typer.Option("--list", help="say what each step does, and stop")] = False,
    dry_run: Annotated[bool, typer.Option(help="show everything, write nothing")] = False,
    language: Annotated[str, typer.Option(help="keep rows in these languages, by script: zh, or zh,en")] = "",
    min_chars: Annotated[int, typer.Option(help="drop rows with a shorter question")] = 0,
    max_chars: Annotated[int, typer.Option(help="drop rows with a longer text")] = 0,
    script: Annotated[str, typer.Option(help="write Chinese in simplified or traditional characters")] = "",
    form: Annotated[str, typer.Option(help="NFC, or NFKC: that one also writes ² as 2 and ， as ,")] = "NFC",
    merge: Annotated[Path | None, typer.Option(help='JSON file of labels to merge: {"old": "new"}')] = None,
    answers: Annotated[bool, typer.Option(help="let steps change labels as well")] = False,
    out: Annotated[Path | None, typer.Option(help="file to write instead of a new version")] = None,
    json: AsJson = False,
) -> None:
    """Clean rows in named steps, say what each touched, and keep the result as the next version.

    Rows are dropped from the new version only: **rung data undo** brings them back. Look first, with --dry-run.

    Example: **rung data clean datasets/desk --language zh --max-chars 2000 --dry-run**
    """
    from rung.cli.screen import Screen

    talk = own_language()
    if list_steps:
        _print_steps(json, talk)
        return
    if not where:
        from rung.core.errors import UsageError

        raise UsageError("E2279")
    given = {"script": script, "form": form, "min_chars": min_chars, "max_chars": max_chars, "answers": answers}
    wanted = _wanted(given, _listed(steps), _listed(skip), _listed(language), merge)
    with Screen(talk) as screen:
        done = clean_data(where, wanted, out=out, dry_run=dry_run, progress=screen.bar("clean").update)
    if json:
        print(commands.to_json(_as_json(done)))
    else:
        _print_run(done, talk)
    _say_where(done, where, dry_run, talk)


def undo_command(
    dataset: Annotated[Path, typer.Argument(help="a data set's folder", metavar="DATASET")], json: AsJson = False
) -> None:
    """Go back to the version before the current one, with the rows that it dropped. Nothing is deleted.

    Example: **rung data undo datasets/desk**
    """
    version = undo_data(dataset)
    if json:
        print(commands.to_json(version.model_dump(mode="json", exclude={"files"})))
        return
    print(spoken("clean.undone", own_language(), id=version.id, rows=f"{version.rows:,}"))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in (piece.strip() for piece in text.replace("，", ",").split(",")) if part)


def _wanted(
    given: dict[str, Any], steps: tuple[str, ...], skip: tuple[str, ...], languages: tuple[str, ...], merge: Path | None
) -> Wanted:
    """Raises UsageError E2276 for a merge map that is none, E2277 and E2278 for words that an option does not know."""
    from rung.core.errors import UsageError
    from rung.data.cleaning.wanted import Wanted

    if given["script"] not in ("", "simplified", "traditional"):
        raise UsageError("E2277", value=given["script"])
    if given["form"] not in ("NFC", "NFKC"):
        raise UsageError("E2278", value=given["form"])
    labels = _merge_map(merge) if merge is not None else {}
    return Wanted(steps=steps, skip=skip, languages=languages, merge=labels, **given)


def _merge_map(path: Path) -> dict[str, str]:
    from rung.core.errors import UsageError

    try:
        found = json_module.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError("E2276", path=path, reason=error) from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise UsageError("E2276", path=path, reason=type(found).__name__)
    return found


def _print_steps(json: bool, language: Language) -> None:
    from rung.data.cleaning.registry import all_steps

    if json:
        print(commands.to_json([info.model_dump(mode="json") for info in all_steps()]))
        return
    for info in all_steps():
        print(
            f"{info.name:<12} {spoken('clean.on' if info.default else 'clean.off', language):<4} {getattr(info, language)}"
        )


def _as_json(done: CleanRun) -> dict[str, Any]:
    kept = done.kept if isinstance(done.kept, Path) or done.kept is None else done.kept.id
    return {
        "rows": len(done.cleaned.records),
        "kept": None if kept is None else str(kept),
        "labels": done.cleaned.labels,
        "steps": [step.model_dump(mode="json") for step in done.cleaned.steps],
        "boilerplate": done.boilerplate,
        "merges": [list(group) for group in done.merges],
    }


def _print_run(done: CleanRun, language: Language) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.text import Text

    console = Console(markup=False, highlight=False, soft_wrap=True)
    head = [spoken(f"clean.{name}", language) for name in ("step", "touched", "dropped")]
    # Chinese characters are two columns wide, which a format's width does not know.
    gaps = [" " * (width - cell_len(word)) for width, word in zip((12, 9, 9), head, strict=True)]
    console.print(f"{head[0]}{gaps[0]} {gaps[1]}{head[1]} {gaps[2]}{head[2]}", style="bold")
    for step in done.cleaned.steps:
        name = step.name.removeprefix("clean.")
        dropped = step.rows_before - step.rows_after
        console.print(f"{name:<12} {step.touched:>9,} {dropped:>9,}  {_counts(step, language)}".rstrip())
        for sample in step.samples[:_SAMPLES]:
            console.print(Text(f"    {sample.id}  {sample.where}".rstrip(), style="dim"))
            for line in _difference(sample):
                console.print(line)
    if done.cleaned.labels:
        console.print(spoken("clean.labels", language))
    for group in done.merges[:_COUNTS]:
        console.print(spoken("clean.merges", language, labels=" = ".join(f"'{label}'" for label in group)))
    if done.boilerplate:
        most = list(done.boilerplate.items())[:_COUNTS]
        phrases = ", ".join(f"'{_cut(phrase, 50)}' ({n})" for phrase, n in most)
        console.print(spoken("clean.boilerplate", language, n=f"{sum(done.boilerplate.values()):,}", phrases=phrases))


def _counts(step: Step, language: Language) -> str:
    most = list(step.counts.items())[:_COUNTS]
    rest = len(step.counts) - len(most)
    shown = [f"{_cut(kind, 40)} {n:,}" for kind, n in most]
    return ", ".join(shown) + (f", +{rest}" if rest else "")


def _difference(sample: Sample) -> list[Text]:
    """Both sides as lines, what differs in colour where the terminal has any."""
    from rich.text import Text

    from rung.text.common_ends import common_ends

    if not sample.after:
        return [Text("    - ") + Text(visible(sample.before)[:_WIDE], style="red")]
    head, tail = common_ends(sample.before, sample.after)
    lines = []
    for sign, text, colour in (("-", sample.before, "red"), ("+", sample.after, "green")):
        end = len(text) - tail
        parts = (visible(text[:head])[-40:], visible(text[head:end])[:_WIDE], visible(text[end:])[:40])
        lines.append(Text(f"    {sign} {parts[0]}") + Text(parts[1], style=colour) + Text(parts[2]))
    return lines


def _cut(text: str, length: int) -> str:
    line = visible(text)
    return line if len(line) <= length else line[: length - 1] + "…"


def _say_where(done: CleanRun, where: str, dry_run: bool, language: Language) -> None:
    rows = f"{len(done.cleaned.records):,}"
    if dry_run:
        say(spoken("clean.dry", language, rows=rows))
    elif done.kept is None:
        say(spoken("clean.nothing", language))
    elif isinstance(done.kept, Path):
        say(spoken("clean.wrote", language, path=done.kept, rows=rows))
    else:
        say(spoken("clean.version", language, id=done.kept.id, rows=rows, dataset=where.partition("@")[0]))
