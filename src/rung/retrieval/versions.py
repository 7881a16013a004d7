"""Versions of a knowledge base: which items of which segments count, sealed records of a few lines, and the current one."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rung.core.durable import write_json, write_text
from rung.core.errors import DataError
from rung.retrieval.best_terms import Mask
from rung.retrieval.population import Part
from rung.retrieval.publish import MANIFEST, sealed, unsealed
from rung.retrieval.segment import FORMAT, Segment

CURRENT, VERSIONS, SEGMENTS = "CURRENT", "versions", "segments"
_CURRENT = re.compile(r"(\d+) of (\d+)\n")
_TRIES = 3


@dataclass(frozen=True)
class Member:
    """A segment of a version. `deleted`: items that do not count, as [first, end) of places, ascending."""

    name: str
    deleted: tuple[tuple[int, int], ...] = ()

    def living(self, size: int) -> Mask | None:
        """Which of its items count; None: all of them."""
        if not self.deleted:
            return None
        mask = np.ones(size, np.bool_)
        for first, end in self.deleted:
            mask[first:end] = False
        return mask

    @classmethod
    def of(cls, name: str, living: Mask | None) -> Member:
        return cls(name, () if living is None else spans_of(np.flatnonzero(~living)))


def spans_of(places: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Ascending places as [first, end)."""
    if not places.size:
        return ()
    breaks = np.flatnonzero(np.diff(places) > 1)
    firsts = places[np.concatenate([[0], breaks + 1])]
    ends = places[np.concatenate([breaks, [places.size - 1]])] + 1
    return tuple(zip(firsts.tolist(), ends.tolist(), strict=True))


@dataclass(frozen=True)
class Version:
    """What a knowledge base held at one time. The same version always holds the same, however its segments lie."""

    number: int
    kind: str
    encoder: str
    """Id of the encoder; "" where there are no vectors."""
    members: tuple[Member, ...]
    items: int
    documents: int
    recipe: Mapping[str, int] = field(default_factory=dict)
    """How documents are cut: chunk_words, chunk_overlap."""
    change: Mapping[str, int] = field(default_factory=dict)
    """Documents added, changed and deleted since the version before."""
    when: str = ""
    """UTC."""


@dataclass(frozen=True)
class Pointer:
    """The version that is served, and the highest number that was ever given, so that none is given twice."""

    current: int
    highest: int


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def is_base(folder: Path) -> bool:
    """Whether a folder holds a knowledge base."""
    return (folder / CURRENT).is_file()


def read_pointer(folder: Path) -> Pointer:
    """Raises DataError E2702 where there is no knowledge base, E2703 when its file CURRENT is damaged."""
    try:
        found = _CURRENT.fullmatch((folder / CURRENT).read_text("ascii"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError("E2702", str(folder)) from error
    except ValueError:
        found = None
    if not found:
        raise DataError("E2703", str(folder), file=CURRENT)
    return Pointer(int(found[1]), int(found[2]))


def write_pointer(folder: Path, pointer: Pointer) -> None:
    write_text(folder / CURRENT, f"{pointer.current} of {pointer.highest}\n")


def path_of(folder: Path, number: int) -> Path:
    return folder / VERSIONS / f"{number:06}.json"


def write_version(folder: Path, version: Version) -> None:
    write_json(path_of(folder, version.number), sealed({"format": FORMAT, **asdict(version)}))


def read_version(folder: Path, number: int | None = None) -> Version:
    """A version by its number; without one the current. Raises DataError E2702, E2703, E2706, E2712."""
    number = read_pointer(folder).current if number is None else number
    path = path_of(folder, number)
    if not path.is_file():
        raise DataError("E2712", str(folder), version=number, known=", ".join(map(str, numbers(folder))))
    record = unsealed(path)
    if (found := record.pop("format", None)) != FORMAT:
        raise DataError("E2706", str(folder), found=found, known=FORMAT)
    members = tuple(Member(each["name"], tuple((a, b) for a, b in each["deleted"])) for each in record.pop("members"))
    return Version(**record, members=members)


def numbers(folder: Path) -> list[int]:
    """The versions that can be opened, the oldest first. One that was being written when its writer died is none."""
    highest = read_pointer(folder).highest
    found = sorted(int(path.stem) for path in (folder / VERSIONS).glob("*.json") if path.stem.isdigit())
    return [number for number in found if number <= highest]


def made_by(folder: Path, number: int | None = None) -> str:
    """Id of the encoder that made an index, "" where it has no vectors; read without opening the index.

    Raises DataError E2702, E2703, E2706, E2712.
    """
    encoder: str = read_version(folder, number).encoder if is_base(folder) else unsealed(folder / MANIFEST)["encoder"]
    return encoder


@dataclass(frozen=True)
class Opened:
    """An index as it lies on disk."""

    id: str
    kind: str
    encoder: str
    parts: tuple[Part, ...]


def open_version(folder: Path, number: int | None = None, known: Sequence[Part] = ()) -> Opened:
    """A folder's index: the one segment in it, or a version of a knowledge base. `known`: parts whose segments are open.

    Raises DataError E2702, E2703, E2706, E2707, E2712.
    """
    if not is_base(folder):
        segment = Segment(folder)
        if number not in {None, 1}:
            raise DataError("E2712", str(folder), version=number, known="1")
        return Opened(segment.id, segment.kind, segment.encoder, (Part(segment),))
    for attempt in range(_TRIES):
        version = read_version(folder, number)
        try:
            return Opened(
                f"{folder.resolve().name}@{version.number}",
                version.kind,
                version.encoder,
                tuple(parts_of(folder, version, known)),
            )
        except DataError as error:
            # Segments may have been put together, and the old ones removed, since the version was read.
            if error.code != "E2702" or attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def parts_of(folder: Path, version: Version, known: Sequence[Part] = (), *, checked: bool = True) -> list[Part]:
    """A version's segments, opened, with what counts of each. Raises DataError E2738 for a damaged one."""
    open_ones = {part.segment.name: part.segment for part in known}
    parts = []
    for member in version.members:
        try:
            segment = open_ones.get(member.name) or Segment(folder / SEGMENTS / member.name, checked=checked)
        except DataError as error:
            if error.code != "E2703":
                raise
            file = f"{SEGMENTS}/{member.name}/{error.problems[0].values['file']}"
            raise DataError("E2738", str(folder), file=file, version=version.number) from error
        parts.append(Part(segment, member.living(segment.size)))
    return parts


def as_members(parts: Sequence[Part]) -> tuple[Member, ...]:
    return tuple(Member.of(part.segment.name, part.living) for part in parts if part.size)


def summary(version: Version) -> dict[str, Any]:
    """What a person wants to know of a version."""
    return {
        "version": version.number,
        "when": version.when,
        "documents": version.documents,
        "items": version.items,
        "segments": len(version.members),
        **version.change,
    }
