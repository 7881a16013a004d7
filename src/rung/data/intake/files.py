"""Every file that a folder, an archive or a single path holds, one after the other, with its bytes or why there are none."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from rung.data.intake.archive import PACKED, open_archive
from rung.data.intake.limits import MIB, Limits
from rung.data.intake.names import suffix_of
from rung.data.intake.tree import files_below, open_inside, read_bytes
from rung.data.parsing.refusal import Unreadable

_OWN_FORMATS = (b"[Content_Types].xml", b"_rels/.rels", b"mimetype")
"""First entries of ZIP files that are one document: Office, OpenDocument, EPUB."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, and which they are."""

    sha256: str
    size: int
    read: Callable[[], bytes]
    """Raises Unreadable."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file, or an entry of an archive."""

    name: str
    """Path below the folder; an entry's follows the archive's. As the file system has it, valid text or not."""
    called: str
    """The name that says what it holds: without the '.gz' of what was packed."""
    content: Content | Unreadable

    @property
    def suffix(self) -> str:
        return suffix_of(self.called)


class Files:
    """The files below a source. `total` is how many are known so far: it grows where an archive is opened."""

    def __init__(self, source: Path, limits: Limits, skip: Collection[Path] = ()) -> None:
        """`skip`: files and folders to leave out. Raises OSError where the source is not there or cannot be listed."""
        self._limits = limits
        self._source = source.resolve(strict=True)
        self._single = not self._source.is_dir()
        self._root = self._source.parent if self._single else self._source
        self._paths = [self._source] if self._single else files_below(self._source, {path.resolve() for path in skip})
        self.total = len(self._paths)

    def __iter__(self) -> Iterator[FoundFile]:
        for path in self._paths:
            name = path.relative_to(self._root).as_posix()
            try:
                with open_inside(path, self._root) as file:
                    packed = suffix_of(name) == ".zip" and not _is_one_document(file)
                    if packed:
                        yield from self._entries(file, "" if self._single else f"{name}/")
                if not packed:
                    yield self._file(path, name)
            except Unreadable as refused:
                yield FoundFile(name, name, refused)

    def _file(self, path: Path, name: str) -> FoundFile:
        raw = read_bytes(path, self._root, self._limits.file_mib)
        called = name
        if suffix_of(name) == ".gz":
            called = name[: -len(".gz")]
            if suffix_of(called) in PACKED:
                raise Unreadable("E2368", name=PurePosixPath(called).name)
            raw = self._unpacked(raw)
        return FoundFile(name, called, Content(hashlib.sha256(raw).hexdigest(), len(raw), lambda: raw))

    def _unpacked(self, raw: bytes) -> bytes:
        most = min(self._limits.file_mib * MIB, max(MIB, self._limits.ratio * len(raw)))
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(raw)) as file:
                unpacked = file.read(most + 1)
        except (OSError, EOFError, zlib.error, struct.error) as error:
            raise Unreadable("E2360", reason=str(error)) from error
        if len(unpacked) <= most:
            return unpacked
        if most == self._limits.file_mib * MIB:
            raise Unreadable("E2314", limit=self._limits.file_mib)
        raise Unreadable("E2364", limit=self._limits.ratio)

    def _entries(self, file: BinaryIO, before: str) -> Iterator[FoundFile]:
        with open_archive(file, self._limits) as archive:
            self.total += len(archive.entries) - 1
            for entry in archive.entries:
                content: Content | Unreadable = Content(
                    entry.sha256,
                    entry.size,
                    lambda entry=entry: archive.read(entry),  # type: ignore[misc]
                )
                if entry.size > self._limits.file_mib * MIB:
                    content = Unreadable("E2314", limit=self._limits.file_mib)
                yield FoundFile(before + entry.name, entry.name, content)


def _is_one_document(file: BinaryIO) -> bool:
    head = file.read(128)
    file.seek(0)
    return head.startswith(b"PK\x03\x04") and head[30:].startswith(_OWN_FORMATS)
