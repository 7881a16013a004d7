"""Answers of several systems, read from files or from columns of one file, and matched question by question."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, Problem, UsageError
from rung.core.evaluation import Answer
from rung.core.hashing import hash_file
from rung.core.model import Failure
from rung.core.task import Example
from rung.data.rejects import Reject, Row
from rung.data.table import SUFFIXES, DataFile

QUESTION = ("question", "query", "input", "text")
ANSWER = ("answer", "output", "prediction", "response", "model_answer")
REFERENCE = ("reference", "references", "gold", "gold_answer", "expected", "label")
MANY = 20
"""Mistakes of one kind that are listed one by one."""


@dataclass(frozen=True)
class Columns:
    """Which fields of the rows mean what; empty: found by their usual names."""

    id: str = "id"
    question: str = ""
    answer: str = ""
    reference: str = ""
    label: str = ""
    """A person's verdict on the answer. With `systems`: as many fields, separated by commas."""
    right: str = "correct"
    """The verdict that means right; any other is wrong."""
    group: str = ""
    score: str = ""
    """A number from 0 to 1 that the answer was given elsewhere. With `systems`: as many fields, separated by commas."""
    scale: tuple[str, ...] = ()
    """All labels there may be, worst first. Where `right` is none of them, they are marks and their mean decides."""
    systems: tuple[str, ...] = ()
    """Fields of one file that hold the answers of one system each."""
    by: str = ""
    """The field that names the system: then one file holds all of them, one row for each question and system."""
    common: bool = False
    """Compare the questions that all systems have, instead of refusing files that differ."""


@dataclass(frozen=True)
class Recording:
    """One system's answers by question."""

    name: str
    path: Path
    columns: Columns
    rows: Mapping[str, Row]
    rejects: tuple[Reject, ...] = ()
    """Rows of the file that could not be read."""
    sha256: str = ""

    def where(self, key: str) -> str:
        return f"{self.path.name}:{self.rows[key].line}"


def read_recordings(files: Sequence[Path], columns: Columns) -> list[Recording]:
    """Every system's answers, in the order given.

    Raises UsageError E1304 for fewer than two systems, E4324 for one that is named twice, E4307 or E4317 where fields and
    systems do not fit, and what `read_recording` raises.
    """
    if (columns.systems or columns.by) and len(files) != 1:
        raise UsageError("E4317", n=len(files))
    if columns.systems:
        found = _from_fields(files[0], columns)
    elif columns.by:
        found = _from_groups(files[0], columns)
    else:
        found = [read_recording(path, columns, name) for path, name in zip(files, _names(files), strict=True)]
    twice = [name for name, n in Counter(recording.name for recording in found).items() if n > 1]
    if twice:
        raise UsageError("E4324", name=twice[0])
    if len(found) < 2:
        raise UsageError("E1304", n=len(found))
    return found


def read_recording(path: Path, columns: Columns, name: str) -> Recording:
    """One system's answers from a file of its own.

    Raises UsageError E1305 for a file that is not there; DataError E2106 for one without a row, E2651 for a missing field,
    E2652 with every question that stands twice.
    """
    rows, rejects = _read(path, columns)
    return Recording(name, path, columns, _keyed(path, rows, columns), rejects, hash_file(path))


def _names(files: Sequence[Path]) -> list[str]:
    """A file's name without its endings; the whole path where two files have the same one."""
    plain = [Path(path.name.removesuffix(".gz")) for path in files]
    stems = [path.stem if path.suffix.lower() in SUFFIXES else path.name for path in plain]
    return stems if len(set(stems)) == len(stems) else [path.as_posix() for path in files]


def _read(path: Path, columns: Columns) -> tuple[list[Row], tuple[Reject, ...]]:
    if not path.is_file():
        raise UsageError("E1305", path=path)
    file = DataFile(path)
    every = list(file)
    rows = [row for row in every if row.problem is None]
    rejects = tuple(row.problem.reject(path.name, row.line, row.raw) for row in every if row.problem is not None)
    if not rows:
        raise DataError(
            "E2106", path.name, problems=[Problem("E2106", path.name), *(r.problem for r in rejects[:MANY])]
        )
    known = file.columns or tuple(dict.fromkeys(name for row in rows for name in row.values))
    wanted = (columns.question, columns.answer, columns.reference, columns.group, columns.by, *columns.systems)
    named = () if columns.id == Columns.id else (columns.id,)
    for name in (*named, *wanted, *_listed(columns.label, columns), *_listed(columns.score, columns)):
        if name and name not in known:
            raise DataError("E2651", path.name, field=name, known=", ".join(known))
    return rows, rejects


def _listed(names: str, columns: Columns) -> list[str]:
    return [name.strip() for name in names.split(",")] if columns.systems and names else [names]


def _from_fields(path: Path, columns: Columns) -> list[Recording]:
    rows, rejects = _read(path, columns)
    keyed, sha256 = _keyed(path, rows, columns), hash_file(path)
    labels, scores = _listed(columns.label, columns), _listed(columns.score, columns)
    for names, called in ((labels, "label"), (scores, "score")):
        if names != [""] and len(names) != len(columns.systems):
            raise UsageError("E4307", called=called, n=len(names), systems=len(columns.systems))
    labels, scores = (names if names != [""] else [""] * len(columns.systems) for names in (labels, scores))
    return [
        Recording(name, path, replace(columns, answer=name, label=label, score=score), keyed, rejects, sha256)
        for name, label, score in zip(columns.systems, labels, scores, strict=True)
    ]


def _from_groups(path: Path, columns: Columns) -> list[Recording]:
    rows, rejects = _read(path, columns)
    piles: dict[str, list[Row]] = {}
    for row in rows:
        piles.setdefault(str(_field(row, columns.by, (), path)), []).append(row)
    sha256 = hash_file(path)
    return [
        Recording(name, path, columns, _keyed(path, pile, columns), rejects, sha256) for name, pile in piles.items()
    ]


def _keyed(path: Path, rows: Iterable[Row], columns: Columns) -> dict[str, Row]:
    """Rows by question. Raises DataError E2652 with every question that stands twice, and both its lines."""
    found: dict[str, Row] = {}
    twice: list[Problem] = []
    for row in rows:
        named = row.values.get(columns.id)
        key = str(named if said(named) else _field(row, columns.question, QUESTION, path))
        if key in found:
            values = {"key": key[:80], "first": found[key].line}
            twice.append(Problem("E2652", f"{path.name}:{row.line}", values))
        else:
            found[key] = row
    if twice:
        raise DataError("E2652", problems=twice[:MANY])
    return found


def said(value: Any) -> bool:
    """0 and False are values; nothing and blank text are not."""
    return value is not None and str(value).strip() != ""


def _field(row: Row, named: str, usual: Sequence[str], path: Path) -> Any:
    for name in (named,) if named else usual:
        if said(row.values.get(name)):
            return row.values[name]
    where = f"{path.name}:{row.line}"
    raise DataError("E2651", where, field=named or " / ".join(usual), known=", ".join(map(str, row.values)))


def shared_questions(recordings: Sequence[Recording], *, common: bool) -> list[str]:
    """Questions that every system has, in the order of the first.

    Raises DataError E2650 where there are none, E4302 where some are not everywhere and `common` is not asked for.
    """
    shared = [key for key in recordings[0].rows if all(key in recording.rows for recording in recordings)]
    files = ", ".join(dict.fromkeys(recording.path.name for recording in recordings))
    if not shared:
        raise DataError("E2650", files=files)
    problems = []
    for recording in recordings:
        every = dict.fromkeys(key for other in recordings for key in other.rows)
        missing = [key for key in every if key not in recording.rows]
        if missing and not common:
            which = ", ".join(key[:40] for key in missing[:5]) + (", ..." if len(missing) > 5 else "")
            problems.append(
                Problem("E4302", recording.name, {"n": len(missing), "which": which, "shared": len(shared)})
            )
    if problems:
        raise DataError("E4302", problems=problems[:MANY])
    return shared


def example_of(key: str, recording: Recording) -> Example:
    """The question of a row, with its reference answers."""
    row, columns = recording.rows[key].values, recording.columns
    asked = (columns.question,) if columns.question else QUESTION
    question = next((str(row[name]) for name in asked if said(row.get(name))), key)
    names = (columns.reference,) if columns.reference else REFERENCE
    found = next((row[name] for name in names if said(row.get(name)) and name != columns.label), None)
    references = tuple(map(str, found)) if isinstance(found, list) else (str(found),) if found is not None else ()
    group = str(row[columns.group]) if columns.group and said(row.get(columns.group)) else ""
    return Example(key, {"question": question}, references, group)


def answer_of(key: str, recording: Recording) -> Answer:
    """What a system answered; an answer that is not there is a failure, unless a person judged it."""
    row, columns = recording.rows[key].values, recording.columns
    names = (columns.answer,) if columns.answer else ANSWER
    text = next((_text(row[name]) for name in names if row.get(name) is not None), "")
    failure = None
    if row.get("failure"):
        failure = Failure("error", str(row["failure"]))
    elif not text.strip() and not columns.label and not columns.score:
        failure = Failure("empty", "no answer is recorded")
    return Answer(
        example=key,
        text="" if failure else text,
        failure=failure,
        money=number_in(key, recording, "money"),
        tokens_in=int(number_in(key, recording, "tokens_in")),
        tokens_out=int(number_in(key, recording, "tokens_out")),
    )


def number_in(key: str, recording: Recording, name: str, *, most: float = math.inf) -> float:
    """A number of 0 to `most` in a row; 0 where the field is empty. Raises DataError E4304 for anything else."""
    value = recording.rows[key].values.get(name)
    if not said(value):
        return 0.0
    try:
        found = float(str(value))
    except ValueError:
        found = math.nan
    if not 0 <= found <= most or isinstance(value, bool) or math.isinf(found):
        raise DataError("E4304", recording.where(key), field=name, value=str(value)[:40], most=most)
    return found


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
