"""A data set in a folder: every version kept under the hash of its rows, one pointer to the current one, and a log."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as release
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rung.core.append_log import AppendLog, read_log
from rung.core.durable import aside, differing, listed, seal, write_synced, write_text, writing
from rung.core.errors import DataError, UsageError
from rung.core.hashing import hash_json
from rung.core.lock import folder_lock
from rung.data.record import Record
from rung.data.versions.version import Source, Step, Version
from rung.text.script import language_of

MANIFEST = "manifest.json"
ROWS = "records.jsonl"
CURRENT = "CURRENT"
LOG = "log.jsonl"


@dataclass(frozen=True)
class Reference:
    """A data set and one of its versions, as users write them: 'datasets/desk' or 'datasets/desk@1a2b3c'."""

    folder: Path
    version: str = ""

    @classmethod
    def parse(cls, text: str | Path) -> Reference:
        folder, mark, version = str(text).rpartition("@")
        return cls(Path(folder), version) if mark and "/" not in version else cls(Path(text))


def is_dataset(path: Path) -> bool:
    """Whether a folder is a data set."""
    return (path / CURRENT).is_file()


class DataSet:
    """The versions of one data set. Reading takes no lock; `commit` is one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def current(self) -> str:
        """Id of the current version. Raises DataError E2720 where the folder is no data set."""
        try:
            return (self.folder / CURRENT).read_text("utf-8").strip()
        except OSError as error:
            raise DataError("E2720", path=self.folder) from error

    def find(self, version: str = "") -> str:
        """The full id of a version, from its beginning; the current one when empty.

        Raises UsageError E2721 for a version that is not there, E2722 for a beginning that several share.
        """
        if not version:
            return self.current
        known = sorted(path.parent.name for path in self.folder.glob(f"versions/[!.]*/{MANIFEST}"))
        found = [id for id in known if id.startswith(version)]
        if len(found) != 1:
            code = "E2722" if found else "E2721"
            raise UsageError(code, path=self.folder, version=version, known=", ".join(found or known))
        return found[0]

    def version(self, version: str = "") -> Version:
        """What is known of a version. Raises DataError E2723 where its manifest cannot be read."""
        path = self._home(self.find(version)) / MANIFEST
        try:
            return Version.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise DataError("E2723", path=path, reason=_short(error)) from error

    def read(self, version: str = "") -> tuple[Record, ...]:
        """The rows of a version, checked against their hash. Raises DataError E2724 where they are damaged."""
        known = self.version(version)
        home = self._home(known.id)
        damaged = differing(home, known.files)
        if damaged is not None:
            raise DataError("E2724", path=home / damaged)
        with (home / ROWS).open(encoding="utf-8") as file:
            return tuple(Record.model_validate_json(line) for line in file)

    def commit(
        self, records: Sequence[Record], steps: Sequence[Step], *, sources: Sequence[Source] = (), anew: bool = False
    ) -> Version:
        """Keep rows as a version and make it the current one.

        Its sources are those of the version before and these; only these where no row is kept of it (`anew`).
        Rows that are already kept make no second copy; only the pointer moves. Raises DataError E2725 for ids that
        repeat, E2728 for half a character, InterruptedRun E4002 where another process writes, WriteError for a disk that refuses.
        """
        twice = [id for id, n in Counter(record.id for record in records).items() if n > 1]
        if twice:
            raise DataError("E2725", n=len(twice), ids=", ".join(twice[:20]))
        with self.locked():
            parent = self.current if is_dataset(self.folder) else ""
            before = self.version(parent).sources if parent and not anew else ()
            made = self._describe(records, steps, parent, _merged(before, sources))
            home = self._home(made.id)
            known = (home / MANIFEST).exists()
            made = self.version(made.id) if known else self._publish(home, records, made)
            self._point(made, steps, parent)
        return made

    def undo(self) -> Version:
        """Go back to the parent of the current version; nothing is deleted. Raises UsageError E2726 without a parent."""
        self.find()  # A folder that is no data set must not become half of one.
        with self.locked():
            now = self.version()
            if not now.parent:
                raise UsageError("E2726", path=self.folder, version=now.id)
            back = self.version(now.parent)
            self._point(back, (Step(name="undo", rows_before=now.rows, rows_after=back.rows),), now.id)
        return back

    def log(self) -> list[dict[str, Any]]:
        """Every move of the pointer, oldest first: {when, version, from, steps: [{name, ...}]}."""
        return read_log(self.folder / LOG)

    def history(self, version: str = "") -> list[Version]:
        """A version and its ancestors, newest first."""
        found, next_id, seen = [], self.find(version), set[str]()
        while next_id and next_id not in seen:
            seen.add(next_id)
            found.append(self.version(next_id))
            next_id = found[-1].parent
        return found

    def forget(self, matches: Callable[[Record], bool]) -> dict[str, int]:
        """Take rows out of every version, past ones included; rows forgotten by version id.

        A version keeps its id, and its manifest says how many rows it has lost: what was trained on it can still be named.
        """
        lost: dict[str, int] = {}
        self.find()
        with self.locked():
            for path in sorted(self.folder.glob(f"versions/[!.]*/{MANIFEST}")):
                home = path.parent
                rows = self.read(home.name)
                kept = [row for row in rows if not matches(row)]
                if len(kept) == len(rows):
                    continue
                known = self.version(home.name)
                lost[home.name] = len(rows) - len(kept)
                gone = {row.id for row in rows} - {row.id for row in kept}
                steps = [
                    step.model_copy(update={"samples": tuple(s for s in step.samples if s.id not in gone)})
                    for step in known.steps
                ]
                changed = self._describe(kept, steps, known.parent, known.sources)
                changed = changed.model_copy(
                    update={"id": home.name, "made": known.made, "forgotten": known.forgotten + lost[home.name]}
                )
                self._publish(home, kept, changed)
            if lost:
                self._note(Step(name="forget", counts=lost), self.current, self.current)
        return lost

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the data set for this process, and put away what one that was killed has left."""
        with folder_lock(self.folder):
            self._put_away()
            yield

    def _put_away(self) -> None:
        """Of folders that were being written: a version that was being replaced comes back, all else goes."""
        left = list((self.folder / "versions").glob(".*.tmp"))
        known = {row["version"] for row in self.log()} if left else set()
        for home in {self._home(path.name.split(".")[1]) for path in left}:
            of = [path for path in left if path.name.startswith(f".{home.name}.")]
            whole = {path: made for path in of if (made := _sealed(path)) is not None}
            if home.name in known and whole and not home.exists():
                max(whole, key=lambda path: whole[path].forgotten).rename(home)
            for path in of:
                shutil.rmtree(path, ignore_errors=True)

    def _home(self, id: str) -> Path:
        return self.folder / "versions" / id

    def _describe(
        self, records: Sequence[Record], steps: Sequence[Step], parent: str, sources: Sequence[Source]
    ) -> Version:
        return Version(
            id=content_id(records),
            parent=parent,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            steps=tuple(steps),
            sources=tuple(sources),
            rows=len(records),
            splits=dict(Counter(record.split or "" for record in records)),
            kinds=dict(Counter(record.kind for record in records)),
            languages=dict(Counter(record.language or language_of(record.question) for record in records)),
            synthetic=sum(record.synthetic for record in records),
            rung=release("rung"),
        )

    def _publish(self, home: Path, records: Sequence[Record], made: Version) -> Version:
        """Write a version's folder whole; an older one of the same name is put out of the way first."""
        working = aside(home)
        old = aside(home)
        with writing(home):
            working.mkdir(parents=True)
            try:
                write_synced(working / ROWS, b"".join(_line(record) for record in records))
                made = made.model_copy(update={"files": listed(working)})
                seal(working, MANIFEST, made.model_dump(mode="json"))
                if home.exists():
                    home.rename(old)
                working.rename(home)
            finally:
                shutil.rmtree(working, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)
        return made

    def _point(self, to: Version, steps: Sequence[Step], before: str) -> None:
        write_text(self.folder / CURRENT, to.id + "\n")
        self._note(steps, to.id, before)

    def _note(self, steps: Sequence[Step] | Step, version: str, before: str) -> None:
        listed_steps = [steps] if isinstance(steps, Step) else steps
        row = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "version": version,
            "from": before,
            "steps": [
                step.model_dump(mode="json", exclude={"samples"}, exclude_defaults=True) for step in listed_steps
            ],
        }
        with AppendLog(self.folder / LOG) as log:
            log.add([row])


def content_id(records: Sequence[Record]) -> str:
    """The id of a version: a hash over its rows, their ids and their splits, in their order."""
    return hash_json([[record.id, record.split, record.hash] for record in records], 12)


def _sealed(folder: Path) -> Version | None:
    """What the manifest of a folder says, where the folder holds all that it names."""
    try:
        found = Version.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if differing(folder, found.files) is None else None


def _line(record: Record) -> bytes:
    try:
        return (json.dumps(record.to_json(), ensure_ascii=False) + "\n").encode()
    except ValueError as error:  # Half a character, which no reader would take.
        raise DataError("E2728", id=record.id) from error


def _merged(before: Sequence[Source], added: Sequence[Source]) -> tuple[Source, ...]:
    """All sources, the later word on one file winning."""
    merged = {(source.name, source.sha256): source for source in (*before, *added)}
    return tuple(merged.values())


def _short(error: Exception) -> str:
    return str(error).splitlines()[0]
