"""`rung data forget`: a person's rows out of every version, run, map and work file, and the models trained on them named."""

from __future__ import annotations

import json as json_module
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import commands
from rung.cli.options import AsJson
from rung.cli.spoken import own_language, say, spoken
from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.data.privacy.wish import Trace, Wish
    from rung.data.record import Record
    from rung.data.versions.dataset import DataSet
    from rung.experiment.forgetting import HeldFile, RunTrace

RECORD = "forgotten.jsonl"
_LARGEST = 256 << 20


@dataclass(frozen=True)
class Forgotten:
    """What was found of a person, and taken out where `done`. No field holds a value."""

    done: bool
    by: tuple[str, ...]
    versions: dict[str, int]
    """Rows by version of the data set."""
    runs: tuple[RunTrace, ...] = ()
    files: tuple[HeldFile, ...] = ()
    """Files beside the versions, and those given with `also`."""
    maps: dict[str, int] | None = None
    """Entries by map."""

    @property
    def by_hand(self) -> list[str]:
        """What Rung does not change: to be deleted, or made again."""
        runs = [f"{run.run}/{file.path}" for run in self.runs for file in run.files if file.action != "rewrite"]
        return runs + [file.path for file in self.files if file.action == "delete"]

    def to_json(self) -> dict[str, Any]:
        from dataclasses import asdict

        return {
            "done": self.done,
            "by": list(self.by),
            "versions": self.versions,
            "runs": [run.to_json() for run in self.runs],
            "files": [asdict(file) for file in self.files],
            "maps": self.maps or {},
            "by_hand": self.by_hand,
        }


def forget(
    dataset: str | Path,
    *,
    ids: Sequence[str] = (),
    subject: str = "",
    contains: str = "",
    runs: Path | None = None,
    maps: Sequence[Path] = (),
    also: Sequence[Path] = (),
    yes: bool = False,
) -> Forgotten:
    """Find a person's rows in every version of a data set and in runs, maps and other files; with `yes`, take them out.

    Rows go from the data set and from lists of training rows; in a run's examples and evaluations their texts are blanked
    and the scores stay. `runs`: a folder of runs. `also`: document sets, caches, label files. What cannot be changed
    without breaking it is listed to be deleted, and models trained on the rows are named. The data set's `forgotten.jsonl`
    records it without the data. Raises UsageError E2915 without anybody named, DataError E2720 where there is no data set.
    """
    from rung.data.privacy.mask_map import MaskMap
    from rung.data.privacy.wish import Wish
    from rung.data.versions.dataset import DataSet, Reference
    from rung.experiment.forgetting import find_runs, forget_run, trace_runs

    wish = Wish(frozenset(ids), subject, contains)
    held = DataSet(Reference.parse(dataset).folder)
    versions, trace = _rows(held, wish)
    found_runs = tuple(trace_runs(runs, trace)) if runs is not None else ()
    own = [
        path for path in held.folder.iterdir() if path.name not in {"versions", "CURRENT", "log.jsonl", ".lock", RECORD}
    ]
    files = tuple(_held(path, trace, wish) for root in (*own, *also) for path in _walk(root))
    files = tuple(file for file in files if file is not None)
    entries: dict[str, int] = {}
    for path in maps:
        kept = MaskMap.read(path)
        entries[path.name] = kept.forget(lambda text: _named(text, wish, trace))
        if yes and entries[path.name]:
            kept.write(path)
    result = Forgotten(yes, wish.by, versions, found_runs, tuple(file for file in files if file), entries)
    if yes:
        for run in find_runs(runs) if runs is not None else ():
            forget_run(run, trace)
        for file in result.files:
            if file.action == "rewrite":
                _rewrite(Path(file.path), trace, wish)
        held.forget(wish.matches)
        _record(held, result)
    return result


def _rows(dataset: DataSet, wish: Wish) -> tuple[dict[str, int], Trace]:
    """Matching rows by version, and how to recognise them elsewhere."""
    dataset.find()
    lost: dict[str, int] = {}
    rows: dict[tuple[str, str], Record] = {}
    for home in sorted((dataset.folder / "versions").iterdir()):
        if not (home / "manifest.json").is_file():
            continue
        matching = [row for row in dataset.read(home.name) if wish.matches(row)]
        if matching:
            lost[home.name] = len(matching)
            rows |= {(row.id, row.hash): row for row in matching}
    return lost, wish.trace(rows.values())


def _walk(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]


def _held(path: Path, trace: Trace, wish: Wish) -> HeldFile | None:
    """What a file that is no part of a data set or a run holds of the person."""
    from rung.core.append_log import read_log
    from rung.experiment.forgetting import HeldFile

    if path.suffix == ".jsonl":
        n = sum(_theirs(row, trace, wish) for row in read_log(path))
        return HeldFile(str(path), n, "rewrite") if n else None
    if path.stat().st_size <= _LARGEST and trace.in_bytes(path.read_bytes()):
        return HeldFile(str(path), 0, "delete")
    return None


def _theirs(row: Any, trace: Trace, wish: Wish) -> bool:
    if not isinstance(row, dict):
        return trace.in_value(row)
    ids = {row.get(name) for name in ("id", "example", "record", "row") if isinstance(row.get(name), str)}
    return bool(ids & trace.ids) or (bool(wish.subject) and row.get("subject") == wish.subject) or trace.in_value(row)


def _rewrite(path: Path, trace: Trace, wish: Wish) -> None:
    from rung.core.append_log import read_log
    from rung.core.durable import write_text

    kept = [row for row in read_log(path) if not _theirs(row, trace, wish)]
    write_text(path, "".join(json_module.dumps(row, ensure_ascii=False) + "\n" for row in kept))


def _named(text: str, wish: Wish, trace: Trace) -> bool:
    """Whether a map's value belongs to the person: named in the request, or standing in one of their rows."""
    named = [word.casefold() for word in (wish.subject, wish.contains) if word]
    low = text.casefold()
    return any(word in low for word in named) or any(
        low in needle.casefold() for needle in trace.needles if len(text) > 1
    )


def _record(dataset: DataSet, result: Forgotten) -> None:
    from rung.core.append_log import AppendLog

    row = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": list(result.by),
        "versions": result.versions,
        "runs": [{"run": r.run, "rows": r.rows, "models": [m.candidate for m in r.models]} for r in result.runs],
        "maps": result.maps,
        "files": {"rewritten": sum(f.action == "rewrite" for f in result.files), "by_hand": len(result.by_hand)},
    }
    with AppendLog(dataset.folder / RECORD) as log:
        log.add([row])


def forget_command(
    what: Annotated[list[str], typer.Argument(help="ids of rows, and last the data set", metavar="[ID]... DATASET")],
    subject: Annotated[str, typer.Option(help="the person whom rows are about, as their field subject says")] = "",
    contains: Annotated[str, typer.Option(help="rows that hold this text in any field")] = "",
    runs: Annotated[Path | None, typer.Option(help="folder of runs; runs/ beside you when absent and there")] = None,
    map: Annotated[
        list[Path] | None, typer.Option(help="map of a reversible mask; may be repeated", metavar="MAP")
    ] = None,
    also: Annotated[list[Path] | None, typer.Option(help="other files or folders: documents, caches, labels")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, only show what would go")] = False,
    json: AsJson = False,
) -> None:
    """Take a person's rows out of every version of a data set, of runs and other files, and name the models trained on them.

    Example: **rung data forget --subject customer-481 datasets/desk --runs runs/ --yes**
    """
    language = own_language()
    *ids, dataset = what
    folder = runs if runs is not None else Path("runs")
    if runs is not None and not runs.is_dir():
        raise UsageError("E1301", path=runs)
    found = forget(
        dataset,
        ids=ids,
        subject=subject,
        contains=contains,
        runs=folder if folder.is_dir() else None,
        maps=map or (),
        also=also or (),
        yes=yes,
    )
    if json:
        print(commands.to_json(found.to_json()))
    else:
        _show(found, language)
    if not yes:
        say(spoken("forget.dry", language))


def _show(found: Forgotten, language: str) -> None:
    def words(key: str, **values: Any) -> str:
        return spoken(f"forget.{key}", language, **values)

    if not (found.versions or found.runs or found.files or any((found.maps or {}).values())):
        print(words("nobody"))
        return
    for version, n in found.versions.items():
        print(words("version", version=version, n=n))
    for name, n in (found.maps or {}).items():
        print(words("map", path=name, n=n))
    for file in found.files:
        if file.action == "rewrite":
            print(words("file", path=file.path, n=file.rows))
    for run in found.runs:
        rows = ", ".join(f"{split} {n}" for split, n in run.rows.items())
        print(words("run", run=run.run, rows=rows))
        for file in run.files:
            if file.action == "rewrite":
                print("  " + words("file", path=file.path, n=file.rows))
        for model in run.models:
            print("  " + words(f"model_{model.how}", candidate=model.candidate, evidence=model.evidence))
    for path in found.by_hand:
        print(words("by_hand", path=path))
