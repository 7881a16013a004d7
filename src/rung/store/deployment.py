"""What is served: one pointer to the champion and one to its challenger, each changed in one step, and the log of all changes.

<run>/serving/  champion.json  challenger.json  history.jsonl
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rung.core.append_log import AppendLog, read_log
from rung.core.durable import sync, write_json, writing
from rung.core.errors import UsageError
from rung.core.lock import folder_lock
from rung.store.runs import RunFolder, reading

Mode = Literal["canary", "shadow"]
_KEPT = 50
"""Champions before the present one to which a rollback can go back."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """One candidate of one run, and how it came to be served."""

    run: Path
    """The run folder."""
    candidate: str
    since: str = ""
    """UTC, ISO 8601."""
    by: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """'run/candidate', as it is told."""
        return f"{self.run.name}/{self.candidate}"

    def same(self, other: Pointer | Challenger) -> bool:
        """Whether both are of the same candidate."""
        return (self.run.resolve(), self.candidate) == (other.run.resolve(), other.candidate)


@dataclass(frozen=True, slots=True)
class Challenger:
    """A candidate on trial beside the champion."""

    run: Path
    candidate: str
    mode: Mode
    share: float = 0.0
    """canary: share of the requests that it answers. shadow: share that it answers unseen."""
    since: str = ""
    by: str = ""
    reason: str = ""

    @property
    def pointer(self) -> Pointer:
        return Pointer(self.run, self.candidate, self.since, self.by, self.reason)


class Deployment:
    """The pointers of one served task. Reading takes no lock; a change is one process at a time, and one rename."""

    def __init__(self, run: Path, folder: Path) -> None:
        self.run = run
        """The run that is served where nothing has been promoted yet."""
        self.folder = folder

    @classmethod
    def at(cls, run: Path, folder: Path | None = None) -> Deployment:
        """The deployment of a run, in `serving/` of its folder unless another is named. Raises UsageError E1301."""
        path = RunFolder.existing(run).path
        return cls(path, folder or path / "serving")

    @property
    def champion(self) -> Pointer:
        """What is served; the run's own winner where nothing has been promoted.

        Raises UsageError E1307 where the run has none, DataError E2901 for a damaged pointer.
        """
        found = self._read("champion.json")
        return self._pointer(found["champion"]) if found else self._winner()

    @property
    def challenger(self) -> Challenger | None:
        """Who is on trial; nobody while it is the champion, as it is for a moment when it is promoted."""
        found = self._read("challenger.json")
        if not found:
            return None
        with reading(self.folder / "challenger.json"):
            challenger = Challenger(**{**found, "run": self._placed(found["run"])})
        return None if self.champion.same(challenger) else challenger

    @property
    def version(self) -> tuple[int, ...]:
        """Changes whenever a pointer does; two looks at the file system."""
        found: list[int] = []
        for name in ("champion.json", "challenger.json"):
            try:
                stat = (self.folder / name).stat()
                # Every change makes a new file, so a new number even within one tick of the clock.
                found += [stat.st_ino, stat.st_mtime_ns, stat.st_size]
            except FileNotFoundError:
                found += [0, 0, 0]
        return tuple(found)

    def promote(self, run: Path, candidate: str, *, by: str = "", reason: str = "", forced: bool = False) -> Pointer:
        """Serve another candidate; whoever was on trial is so no more. Raises UsageError E1302 where it is not there.

        Killed at any moment, the old champion is served or the new one, and nothing else.
        """
        new = Pointer(self._there(run, candidate), candidate, _now(), by or _person(), reason)
        with self._changing():
            before = self._before()
            served = (self.folder / "champion.json").exists() or self._has_winner()
            old = self.champion if served else None
            self._put(new, [*before, *([self._record(old)] if old else [])][-_KEPT:], "promote", forced=forced)
            self._clear("challenger.json")
        return new

    def rollback(self, *, by: str = "", reason: str = "") -> Pointer:
        """Serve the champion before this one again. Raises UsageError E7110 where there was none."""
        with self._changing():
            before = self._before()
            if not before:
                raise UsageError("E7110", run=self.run)
            back = replace(self._pointer(before[-1]), since=_now(), by=by or _person(), reason=reason)
            self._put(back, before[:-1], "rollback")
            self._clear("challenger.json")
        return back

    def start_challenger(
        self, run: Path, candidate: str, mode: Mode, *, share: float, by: str = "", reason: str = ""
    ) -> Challenger:
        """Put a candidate on trial, in place of whoever was. Raises UsageError E7111 for the champion itself, E7112 for a share
        that is none, E1302 where it is not there."""
        if not 0 < share <= 1:
            raise UsageError("E7112", share=share)
        new = Challenger(self._there(run, candidate), candidate, mode, share, _now(), by or _person(), reason)
        with self._changing():
            if self.champion.same(new):
                raise UsageError("E7111", name=new.pointer.name)
            write_json(self.folder / "challenger.json", {**asdict(new), "run": self._relative(new.run)})
            self._note(mode, new.pointer, share=share)
        return new

    def stop_challenger(self, *, by: str = "", reason: str = "") -> Challenger | None:
        """End the trial; None where there was none."""
        with self._changing():
            found = self.challenger
            self._clear("challenger.json")
            if found is not None:
                self._note("stop", replace(found.pointer, since=_now(), by=by or _person(), reason=reason))
        return found

    def history(self) -> list[dict[str, Any]]:
        """Every change, oldest first: {what, run, candidate, since, by, reason, share?, forced?}."""
        return list(read_log(self.folder / "history.jsonl"))

    def note(self, what: str, pointer: Pointer, **more: Any) -> None:
        """Write something that happened to a candidate into the history: `taken`, `refused`."""
        with self._changing():
            self._note(what, replace(pointer, since=_now()), **more)

    def _changing(self) -> Any:
        # Not the folder itself: a server may hold that one for as long as it runs.
        return folder_lock(self.folder / "changing")

    def _put(self, new: Pointer, before: list[dict[str, Any]], what: str, **more: Any) -> None:
        write_json(self.folder / "champion.json", {"champion": self._record(new), "before": before})
        self._note(what, new, **{name: value for name, value in more.items() if value})

    def _note(self, what: str, pointer: Pointer, **more: Any) -> None:
        with AppendLog(self.folder / "history.jsonl") as log:
            log.add([{"what": what, **self._record(pointer), **more}])

    def _clear(self, name: str) -> None:
        path = self.folder / name
        with writing(path):
            if path.exists():
                path.unlink()
                sync(self.folder)

    def _before(self) -> list[dict[str, Any]]:
        found = self._read("champion.json")
        return list(found["before"]) if found else []

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        with reading(path):
            try:
                found = json.loads(path.read_text("utf-8"))
            except FileNotFoundError:
                return {}
            if not isinstance(found, dict):
                raise ValueError("it holds no record")
        return found

    def _has_winner(self) -> bool:
        decision = RunFolder(self.run).read_decision()
        return decision is not None and bool(decision.winner)

    def _winner(self) -> Pointer:
        folder = RunFolder(self.run)
        decision = folder.read_decision()
        if decision is None or not decision.winner:
            raise UsageError("E1307", run=self.run, known=", ".join(folder.candidates()))
        return Pointer(self.run, decision.winner, str(folder.read_run().get("created", "")))

    def _there(self, run: Path, candidate: str) -> Path:
        folder = RunFolder.existing(run)
        folder.read_candidate(candidate)
        return folder.path.resolve()

    def _record(self, pointer: Pointer) -> dict[str, Any]:
        return {**asdict(pointer), "run": self._relative(pointer.run)}

    def _pointer(self, record: dict[str, Any]) -> Pointer:
        with reading(self.folder / "champion.json"):
            return Pointer(**{**record, "run": self._placed(record["run"])})

    def _relative(self, run: Path) -> str:
        """From the run's own folder, so that a folder of runs can be moved."""
        return Path(os.path.relpath(run.resolve(), self.run.resolve())).as_posix()

    def _placed(self, written: str) -> Path:
        return (self.run.resolve() / written).resolve()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _person() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
