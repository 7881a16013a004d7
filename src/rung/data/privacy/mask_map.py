"""The map of a reversible mask: which pseudonym stands for what. Kept apart from the data, for its owner's eyes alone."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.core.durable import write_whole
from rung.core.errors import DataError, UsageError

SCHEMA = 1


@dataclass
class MaskMap:
    """Pseudonyms and what they stand for. Nothing of it is ever printed: `repr` shows only how large it is."""

    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    style: str = "tag"
    last: dict[str, int] = field(default_factory=dict)
    """The last number given out, by tag."""
    entries: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """{pseudonym: {kind, text}}, the text as it was first written."""
    others: dict[str, list[list[Any]]] = field(default_factory=dict, repr=False)
    """Where a value was written otherwise than first: {row and field: [[pseudonym, which one, text]]}."""

    def __post_init__(self) -> None:
        self._known = -1
        self._lengths: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.entries)

    @classmethod
    def read(cls, path: Path) -> MaskMap:
        """Raises UsageError E2912 where there is none, DataError E2913 where it is damaged."""
        try:
            kept = json.loads(path.read_bytes())
            if kept.pop("schema") != SCHEMA:
                raise ValueError("it is of another schema")
            return cls(**kept)
        except FileNotFoundError as error:
            raise UsageError("E2912", path=path) from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            # The reason names a place in the file, never its content.
            raise DataError("E2913", path=path, reason=type(error).__name__) from error

    def write(self, path: Path) -> None:
        """Replace the file as a whole, readable by its owner alone from its first byte on (mode 0600)."""
        kept = {
            "schema": SCHEMA,
            "id": self.id,
            "style": self.style,
            "last": self.last,
            "entries": self.entries,
            "others": self.others,
        }
        data = json.dumps(kept, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")
        write_whole(path, data, private=True)

    def forget(self, matches: Callable[[str], bool]) -> int:
        """Take out every entry whose text matches; how many there were. Its pseudonyms can then never be undone."""
        gone = {name for name, entry in self.entries.items() if matches(entry["text"])}
        self.entries = {name: entry for name, entry in self.entries.items() if name not in gone}
        kept = {where: [line for line in lines if line[0] not in gone] for where, lines in self.others.items()}
        self.others = {where: lines for where, lines in kept.items() if lines}
        return len(gone)

    def restore(self, text: str, where: str = "") -> str:
        """A masked text as it was. `where` is the row and field that it was masked under."""
        exceptions = {(name, n): form for name, n, form in self.others.get(where, ())}
        lengths = self._by_first()
        seen: dict[str, int] = {}
        pieces: list[str] = []
        at = 0
        while at < len(text):
            name = next((text[at : at + n] for n in lengths.get(text[at], ()) if text[at : at + n] in self.entries), "")
            if name:
                seen[name] = seen.get(name, 0) + 1
                pieces.append(exceptions.get((name, seen[name])) or self.entries[name]["text"])
            else:
                pieces.append(text[at])
            at += len(name) or 1
        return "".join(pieces)

    def _by_first(self) -> Mapping[str, Sequence[int]]:
        """How long pseudonyms are that begin with a character, longest first."""
        if self._known != len(self.entries):
            found: dict[str, set[int]] = {}
            for name in self.entries:
                found.setdefault(name[0], set()).add(len(name))
            self._lengths = {first: sorted(sizes, reverse=True) for first, sizes in found.items()}
            self._known = len(self.entries)
        return self._lengths


def refuse_near(path: Path, *folders: Path | None) -> None:
    """Raises UsageError E2911 for a map that would lie inside a folder of data: it would travel with them."""
    whole = path.resolve()
    for folder in folders:
        if folder is not None and (whole == folder.resolve() or folder.resolve() in whole.parents):
            raise UsageError("E2911", path=path, folder=folder)
