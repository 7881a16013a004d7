"""Forgetting in run folders: which hold a person's rows, what is taken out of them, and which models were trained on them.

Texts go, scores stay: an evaluation remains what it was, and can be read. Weights cannot forget; they are named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rung.core.append_log import read_log
from rung.core.durable import write_text
from rung.data.privacy.wish import Trace
from rung.store.runs import RunFolder

FORGOTTEN = "[forgotten]"
_LARGEST = 256 << 20
_TRAINING = ("training/rows.jsonl", "training/dev.jsonl", "train.jsonl")


@dataclass(frozen=True)
class HeldFile:
    """A file that holds rows or texts of the person."""

    path: str
    """Inside the run folder, or as it was given."""
    rows: int
    """Rows in it; 0 where the file is no list of rows."""
    action: str
    """rewrite: its rows are taken out or blanked; report: `rung report` writes it anew; delete: by hand."""


@dataclass(frozen=True)
class TrainedModel:
    """A candidate whose weights, examples or index were made with the person's rows."""

    candidate: str
    method: str
    how: str
    """adapter | head | shots | pool: what of it was made with them."""
    evidence: str
    """The file that says so: the rows it was trained on, or the run's train split."""


@dataclass(frozen=True)
class RunTrace:
    """What one run holds of a person."""

    run: str
    rows: dict[str, int]
    """By split."""
    files: tuple[HeldFile, ...]
    models: tuple[TrainedModel, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_runs(path: Path) -> list[RunFolder]:
    """Every run in a folder, or the run that it is."""
    if (path / "run.yaml").is_file():
        return [RunFolder(path)]
    return [RunFolder(found.parent) for found in sorted(path.glob("**/run.yaml"))]


def trace_runs(path: Path, trace: Trace) -> list[RunTrace]:
    """The runs under a folder that hold rows of a person; nothing is changed. Raises DataError E2901 for a damaged run."""
    traced = [trace_run(run, trace) for run in find_runs(path)]
    return [found for found in traced if found.rows or found.files]


def trace_run(run: RunFolder, trace: Trace) -> RunTrace:
    """What one run holds of a person."""
    ids = _ids(run, trace)
    rows: dict[str, int] = {}
    for split in ids.values():
        rows[split] = rows.get(split, 0) + 1
    files = tuple(_held(run, trace, frozenset(ids)))
    return RunTrace(run.path.name, rows, files, tuple(_trained(run, trace, ids)))


def forget_run(run: RunFolder, trace: Trace) -> int:
    """Take a person's texts out of a run's lists of rows; how many rows were touched. Scores and ids stay."""
    ids = frozenset(_ids(run, trace))
    touched = 0
    for path in _listed(run):
        training = path.relative_to(run.path).as_posix().endswith(_TRAINING)
        touched += _rewrite(path, partial(_without if training else _blank, ids=ids, trace=trace))
    return touched


def _ids(run: RunFolder, trace: Trace) -> dict[str, str]:
    """Ids of the person's examples in this run, with their split."""
    path = run.path / "examples.jsonl"
    return {line["id"]: line["split"] for line in read_log(path) if trace.knows(line["id"], list(_texts(line)))}


def _texts(line: dict[str, Any]) -> Iterator[str]:
    """Every text of a line of examples.jsonl, and its question as a whole."""
    yield from line["inputs"].values()
    yield "\n".join(line["inputs"].values())
    yield from line["references"]
    yield from line.get("rejected", ())
    yield from (turn["text"] for turn in line.get("history", ()))


def _listed(run: RunFolder) -> Iterator[Path]:
    """The lists of rows of a run that can be changed without breaking it."""
    yield run.path / "examples.jsonl"
    yield from sorted(run.path.glob("evaluations/*.jsonl"))
    for name in _TRAINING:
        yield from sorted(run.path.glob(f"candidates/*/{name}"))


def _held(run: RunFolder, trace: Trace, ids: frozenset[str]) -> Iterator[HeldFile]:
    listed = set(_listed(run))
    for path in sorted(listed):
        n = sum(_is_theirs(row, ids, trace) for row in read_log(path))
        if n:
            yield HeldFile(path.relative_to(run.path).as_posix(), n, "rewrite")
    for path in sorted(p for p in run.path.rglob("*") if p.is_file() and p not in listed):
        name = path.relative_to(run.path).as_posix()
        if path.stat().st_size <= _LARGEST and trace.in_bytes(path.read_bytes()):
            yield HeldFile(name, 0, "report" if path.stem == "report" else "delete")


def _is_theirs(row: Any, ids: frozenset[str], trace: Trace) -> bool:
    """Whether a row of a list is about the person and still says something."""
    answer = row.get("answer")
    if isinstance(answer, dict):
        return answer.get("example") in ids and answer.get("text") != FORGOTTEN
    if "inputs" in row:
        return row.get("id") in ids and any(text != FORGOTTEN for text in row["inputs"].values())
    return row.get("id") in ids or trace.in_value(row)


def _without(row: dict[str, Any], ids: frozenset[str], trace: Trace) -> dict[str, Any] | None:
    return None if _is_theirs(row, ids, trace) else row


def _blank(row: dict[str, Any], ids: frozenset[str], trace: Trace) -> dict[str, Any]:
    if not _is_theirs(row, ids, trace):
        return row
    if "answer" in row:
        answer = {name: value for name, value in row["answer"].items() if name not in {"raw", "failure"}}
        failure = row["answer"].get("failure")
        kept = {"failure": {**failure, "message": ""}} if failure else {}
        return {**row, "answer": {**answer, "text": FORGOTTEN, **kept}}
    left = {name: value for name, value in row.items() if name not in {"rejected", "history"}}
    return {
        **left,
        "inputs": dict.fromkeys(row["inputs"], FORGOTTEN),
        "references": [FORGOTTEN for _ in row["references"]],
        "group": "",
    }


def _rewrite(path: Path, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> int:
    rows = read_log(path)
    changed = [change(row) for row in rows]
    touched = sum(before is not after for before, after in zip(rows, changed, strict=True))
    if touched:
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in changed if row is not None))
    return touched


def _trained(run: RunFolder, trace: Trace, ids: dict[str, str]) -> Iterator[TrainedModel]:
    in_train = sorted(id for id, split in ids.items() if split == "train")
    for name in run.candidates():
        candidate = run.read_candidate(name)
        folder = run.candidate_folder(name)
        lists = [folder / part for part in _TRAINING if "dev" not in part and (folder / part).is_file()]
        listed = [path for path in lists if any(_is_theirs(row, frozenset(ids), trace) for row in read_log(path))]
        evidence = listed[0].relative_to(run.path).as_posix() if listed else "splits.json"
        # Where its own rows are known they decide: a budget may have kept some of the split out.
        trained = bool(listed) if lists else bool(in_train)
        if candidate.adapter is not None and trained:
            yield TrainedModel(name, candidate.method, "adapter", evidence)
        elif candidate.model.weights is not None and candidate.model.kind == "linear" and in_train:
            yield TrainedModel(name, candidate.method, "head", "splits.json")
        if candidate.shots is not None and any(shot.id in ids for shot in candidate.shots.fixed):
            yield TrainedModel(name, candidate.method, "shots", f"candidates/{name}/candidate.json")
        elif candidate.shots is not None and candidate.shots.mode == "nearest" and in_train:
            yield TrainedModel(name, candidate.method, "pool", f"indexes/{candidate.shots.index.split('@')[0]}")
