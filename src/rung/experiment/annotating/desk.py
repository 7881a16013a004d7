"""The work files of labelling: settings, and a log for each annotator whose lines, read from the top, say what stands.

<folder>/setup.json               labels, guideline, share of rows for two, order
         answers.<annotator>.jsonl   every key press that counts, one line each, on disk before the next row is shown
         decisions.jsonl             what was decided where annotators disagree
         suggestions.<candidate>.jsonl   what a model would say
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from rung.core.append_log import AppendLog, read_log
from rung.core.durable import write_json
from rung.core.errors import DataError, UsageError
from rung.core.hashing import hash_json, seed_from
from rung.core.task import Frozen
from rung.data.record import Record
from rung.experiment.annotating.order import Order

HELD_SECONDS = 1800.0
"""How long a row that is on somebody's screen is kept from others."""
_NAME = re.compile(r"[^\W_](?:[\w.@-]*\w)?")
Action = Literal["label", "skip", "open", "undo", "note", "flag", "leave"]


class Setup(Frozen):
    """What all annotators of one desk share."""

    labels: tuple[str, ...] = ()
    """Empty for free text."""
    guideline: str = ""
    overlap: float = 0.2
    """Share of rows that go to two annotators."""
    order: Order = "mixed"
    seed: int = 0
    fields: tuple[str, ...] = ()
    """Input fields to show; all when empty."""


@dataclass(frozen=True)
class Given:
    """What one annotator said of one row, as it now stands."""

    answer: str
    asked: str
    """Hash of the row as it was shown."""
    seconds: float = 0.0
    suggestion: str = ""
    """What was suggested, where a suggestion was in sight."""


@dataclass
class Sheet:
    """All that one annotator has said."""

    annotator: str
    given: dict[str, Given] = field(default_factory=dict)
    skipped: dict[str, None] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    flags: dict[str, None] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    """Rows labelled or skipped, oldest first: what undo takes back."""
    open: tuple[str, float] = ("", 0.0)
    """The row on the screen, and since when (seconds since 1970)."""

    def apply(self, line: Mapping[str, Any]) -> None:
        """Take one line of the log in."""
        id, do = str(line.get("id", "")), line["do"]
        if do == "open":
            self.open = (id, float(line["at"]))
            return
        if do == "note":
            self.notes.setdefault(id, []).append(str(line["text"]))
        elif do == "flag":
            self.flags[id] = None
        else:
            self.open = ("", 0.0)
        if do in {"label", "skip", "undo"}:
            self.given.pop(id, None)
            self.skipped.pop(id, None)
            self.history = [each for each in self.history if each != id]
        if do == "label":
            self.given[id] = Given(
                line["answer"], line["asked"], float(line.get("seconds", 0.0)), line.get("suggestion", "")
            )
        elif do == "skip":
            self.skipped[id] = None
        if do in {"label", "skip"}:
            self.history.append(id)

    @property
    def seconds_a_row(self) -> float:
        """Middle time of an answer; 0 where nothing has been labelled. Pauses do not move it much."""
        taken = sorted(given.seconds for given in self.given.values() if given.seconds > 0)
        return taken[len(taken) // 2] if taken else 0.0


class Desk:
    """The labelling folder of one set of rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def setup(self) -> Setup | None:
        """What was settled when labelling began; None before. Raises DataError E2950 for a damaged file."""
        path = self.folder / "setup.json"
        if not path.is_file():
            return None
        try:
            return Setup.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError("E2950", path=path, reason=str(error).splitlines()[0]) from error

    def settle(self, setup: Setup) -> None:
        if setup != self.setup:
            write_json(self.folder / "setup.json", setup.model_dump(mode="json"))

    def log_path(self, annotator: str) -> Path:
        """Raises UsageError E2951 for a name that can be no part of a file name."""
        if not _NAME.fullmatch(annotator) or len(annotator) > 60:
            raise UsageError("E2951", name=annotator)
        return self.folder / f"answers.{annotator}.jsonl"

    def annotators(self) -> list[str]:
        return sorted(
            p.name.removeprefix("answers.").removesuffix(".jsonl") for p in self.folder.glob("answers.*.jsonl")
        )

    def sheet(self, annotator: str) -> Sheet:
        """Raises DataError E2901 or E2950 for a damaged log."""
        sheet = Sheet(annotator)
        path = self.log_path(annotator)
        for number, line in enumerate(read_log(path), 1):
            try:
                sheet.apply(line)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise DataError("E2950", path=f"{path}:{number}", reason=repr(error)) from error
        return sheet

    def sheets(self) -> list[Sheet]:
        return [self.sheet(name) for name in self.annotators()]

    def decisions(self) -> dict[str, dict[str, Any]]:
        """What was decided, by row; the later word counts, and an empty answer takes a decision back."""
        found: dict[str, dict[str, Any]] = {}
        for line in read_log(self.folder / "decisions.jsonl"):
            found[str(line["id"])] = line
        return {id: line for id, line in found.items() if line.get("answer")}

    def decide(self, id: str, answer: str, by: str, *, asked: str = "", note: str = "") -> None:
        with AppendLog(self.folder / "decisions.jsonl") as log:
            log.add([{"id": id, "answer": answer, "by": by, "asked": asked, "note": note, "time": _now()}])


class Writer:
    """One annotator at work: every call is on disk when it returns."""

    def __init__(self, desk: Desk, annotator: str) -> None:
        self.sheet = desk.sheet(annotator)
        self._log = AppendLog(desk.log_path(annotator))

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.sheet.open[0]:
            self._add("leave", self.sheet.open[0])
        self._log.close()

    def open(self, record: Record) -> None:
        """The row is on the screen."""
        if self.sheet.open[0] != record.id or time.time() - self.sheet.open[1] > HELD_SECONDS / 2:
            self._add("open", record.id, at=time.time())

    def label(self, record: Record, answer: str, *, seconds: float = 0.0, suggestion: str = "") -> None:
        values = {"suggestion": suggestion} if suggestion else {}
        self._add("label", record.id, answer=answer, asked=asked(record), seconds=round(seconds, 1), **values)

    def skip(self, record: Record) -> None:
        self._add("skip", record.id)

    def note(self, record: Record, text: str) -> None:
        self._add("note", record.id, text=text)

    def flag(self, record: Record) -> None:
        self._add("flag", record.id)

    def undo(self) -> str:
        """Take the last label or skip back; the row's id, '' where there is none."""
        if not self.sheet.history:
            return ""
        id = self.sheet.history[-1]
        self._add("undo", id)
        return id

    def _add(self, do: Action, id: str, **values: Any) -> None:
        line = {"do": do, "id": id, **values, "time": _now()}
        self._log.add([line])
        self.sheet.apply(line)


def asked(record: Record) -> str:
    """Hash of what an annotator reads of a row: a label given to another text does not count for this one."""
    return hash_json([record.inputs, [[turn.role, turn.content] for turn in record.messages]], 12)


def is_shared(id: str, overlap: float, seed: int = 0) -> bool:
    """Whether a row goes to two annotators. A larger share holds every row of a smaller one."""
    return seed_from("label overlap", seed, id) < overlap * (1 << 63)


@dataclass(frozen=True)
class Share:
    """What one annotator may still label, as the logs stand now.

    Not what is labelled or skipped already (`again` brings skipped rows back), nor what others have labelled: a shared row goes
    to two people, any other to one. A row on somebody's screen is held for half an hour.
    """

    own: Sheet
    others: Sequence[Sheet]
    setup: Setup
    again: bool = False

    @classmethod
    def of(cls, desk: Desk, annotator: str, setup: Setup, *, again: bool = False) -> Share:
        others = [desk.sheet(name) for name in desk.annotators() if name != annotator]
        return cls(desk.sheet(annotator), others, setup, again)

    def holds(self, record: Record) -> bool:
        """Whether this row is still to be labelled by this annotator."""
        id, stamp = record.id, asked(record)
        mine = self.own.given.get(id)
        if (mine is not None and mine.asked == stamp) or (id in self.own.skipped and not self.again):
            return False
        said = sum(sheet.given[id].asked == stamp for sheet in self.others if id in sheet.given)
        if is_shared(id, self.setup.overlap, self.setup.seed):
            return said < 2
        held = any(s.open[0] == id and time.time() - s.open[1] < HELD_SECONDS for s in self.others)
        return not said and not held


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
