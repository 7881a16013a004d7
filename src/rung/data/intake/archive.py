"""A ZIP archive as a folder of files: looked at in full, and refused in full, before any of it is used.

Codes of refusals, all Unreadable: E2360 damaged, E2361 locked with a password, E2362 too many entries, E2363 unpacks to too
much, E2364 packed too tightly to be honest, E2365 a name that leads out, E2366 a link or device, E2367 entries that overlap,
E2368 an archive inside, E2369 one name twice, E2370 a compression that is not read. Record layouts are of PKWARE's APPNOTE.
"""

from __future__ import annotations

import hashlib
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from rung.data.intake.limits import MIB, Limits
from rung.data.intake.names import decode_names, suffix_of, unicode_path
from rung.data.intake.tree import is_hidden
from rung.data.parsing.refusal import Unreadable

PACKED = frozenset({".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar", ".zst", ".cab", ".jar"})
_READ = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
_OUTSIDE = re.compile(r"/|[A-Za-z]:|(.*/)?\.\.(/|$)")
_DIRECTORY_MIB = 8
"""What the list of an archive's entries may come to; 10,000 entries with long names need less."""
_SMALL = MIB
"""Below this, a high ratio is nothing to fear: a page of blanks has one."""
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, struct.error, ValueError, OverflowError)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive."""

    name: str
    """Decoded, parts apart by '/'."""
    sha256: str
    size: int
    """Bytes when unpacked."""
    info: zipfile.ZipInfo


class Archive:
    """An archive that has passed every check."""

    def __init__(self, file: zipfile.ZipFile, entries: Sequence[Entry]) -> None:
        self._file = file
        self.entries = tuple(entries)

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry. Raises Unreadable E2360 where they are not those that were checked."""
        try:
            raw = self._file.read(entry.info)
        except _BROKEN as error:
            raise Unreadable("E2360", reason=str(error)) from error
        if hashlib.sha256(raw).hexdigest() != entry.sha256:
            raise Unreadable("E2350")
        return raw


@contextmanager
def open_archive(opened: BinaryIO, limits: Limits) -> Iterator[Archive]:
    """Check a whole archive, unpacking every entry once to nowhere. Raises Unreadable with the codes above.

    Hidden entries are checked like the others, and then left out.
    """
    _refuse_crowds(opened, limits)
    try:
        file = zipfile.ZipFile(opened)
    except (*_BROKEN, NotImplementedError) as error:
        raise Unreadable("E2360", reason=str(error)) from error
    with file:
        infos = file.infolist()
        if len(infos) > limits.entries:
            raise Unreadable("E2362", limit=limits.entries)
        names = _names(infos)
        _refuse_names(infos, names)
        _refuse_bombs(infos, limits)
        _refuse_overlaps(opened, infos, file.start_dir)
        entries = [_unpacked(file, info, name) for info, name in zip(infos, names, strict=True) if not info.is_dir()]
        shown = (entry for entry in entries if not any(is_hidden(part) for part in entry.name.split("/")))
        yield Archive(file, sorted(shown, key=lambda entry: entry.name.split("/")))


def _refuse_crowds(file: BinaryIO, limits: Limits) -> None:
    """Read how many entries there are before anything is made of them: a million would fill the memory."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 22 - 0xFFFF))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise Unreadable("E2360", reason="it has no list of entries")
    entries, length = struct.unpack_from("<HL", tail, at + 10)
    if at >= 20 and tail.startswith(b"PK\x06\x07", at - 20):
        end = size - len(tail) + at
        # Where the locator says that the longer record is, and just before the locator: readers differ in which they take.
        for start in {struct.unpack_from("<Q", tail, at - 12)[0], end - 20 - 56}:
            if 0 <= start < size:
                file.seek(start)
                record = file.read(56)
                if len(record) == 56 and record.startswith(b"PK\x06\x06"):
                    many, long = struct.unpack_from("<QQ", record, 32)
                    entries, length = max(entries, many), max(length, long)
    if entries > limits.entries or length > _DIRECTORY_MIB * MIB:
        raise Unreadable("E2362", limit=limits.entries)
    file.seek(0)


def _names(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Names as their archivers meant them: many write the system's own encoding and do not say so."""
    plain: list[str] = []
    unsaid: dict[int, bytes] = {}
    for n, info in enumerate(infos):
        name = info.orig_filename
        if not info.flag_bits & 0x800 and not name.isascii():
            raw = name.encode("cp437")
            name = unicode_path(info.extra, raw)
            if not name:
                unsaid[n] = raw
        plain.append(name)
    for n, name in zip(unsaid, decode_names(list(unsaid.values())), strict=True):
        plain[n] = name
    return [name.replace("\\", "/") for name in plain]


def _refuse_names(infos: Sequence[zipfile.ZipInfo], names: Sequence[str]) -> None:
    seen: set[str] = set()
    for info, name in zip(infos, names, strict=True):
        if not name or "\0" in name or _OUTSIDE.match(name):
            raise Unreadable("E2365", name=_short(name))
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise Unreadable("E2366", name=_short(name))
        if info.flag_bits & 0x41:
            raise Unreadable("E2361")
        if info.is_dir():
            continue
        if suffix_of(name) in PACKED:
            raise Unreadable("E2368", name=_short(name))
        if info.compress_type not in _READ:
            raise Unreadable("E2370", name=_short(name))
        if name in seen:
            raise Unreadable("E2369", name=_short(name))
        seen.add(name)


def _short(name: str) -> str:
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in name)
    return shown if len(shown) <= 120 else f"{shown[:119]}…"


def _refuse_bombs(infos: Sequence[zipfile.ZipInfo], limits: Limits) -> None:
    """By the sizes that the archive states; unpacking goes no further than they say."""
    whole = sum(info.file_size for info in infos)
    if whole > limits.archive_mib * MIB:
        raise Unreadable("E2363", limit=limits.archive_mib)
    packed = sum(info.compress_size for info in infos)
    for full, small in [(whole, packed), *((info.file_size, info.compress_size) for info in infos)]:
        if full > _SMALL and full > limits.ratio * max(small, 1):
            raise Unreadable("E2364", limit=limits.ratio)


def _refuse_overlaps(file: BinaryIO, infos: Sequence[zipfile.ZipInfo], directory: int) -> None:
    """Every entry's bytes are its own: a bomb lets thousands of entries share the same ones."""
    free = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        file.seek(min(max(info.header_offset, 0), directory))
        head = file.read(30)
        if len(head) < 30 or not head.startswith(b"PK\x03\x04"):
            raise Unreadable("E2360", reason="an entry is not where the list says")
        if info.header_offset < free:
            raise Unreadable("E2367")
        name, extra = struct.unpack_from("<HH", head, 26)
        free = info.header_offset + 30 + name + extra + info.compress_size
    if free > directory:
        raise Unreadable("E2367")


def _unpacked(file: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Entry:
    digest = hashlib.sha256()
    size = 0
    try:
        with file.open(info) as stream:
            while block := stream.read(MIB):
                digest.update(block)
                size += len(block)
    except (*_BROKEN, NotImplementedError) as error:
        raise Unreadable("E2360", reason=str(error)) from error
    if size != info.file_size:
        raise Unreadable("E2360", reason="an entry is shorter than the list says")
    return Entry(name, digest.hexdigest(), size, info)
