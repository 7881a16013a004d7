"""A folder's files and their bytes: nothing outside the folder, nothing that blocks, no file half old and half new."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from rung.data.intake.limits import MIB
from rung.data.parsing.refusal import Unreadable

_LEFT_BY_SYSTEMS = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
_TRIES = 3


def is_hidden(name: str) -> bool:
    """Whether one part of a path is of a system or a program, and not a document of the team's."""
    return name.startswith((".", "~$")) or name.casefold() in _LEFT_BY_SYSTEMS


def files_below(folder: Path, skip: Collection[Path] = ()) -> list[Path]:
    """Everything below that is neither hidden nor a folder, sorted; folders behind links are not entered.

    `skip`: files and folders to leave out, as paths below `folder`. A folder that cannot be listed stands for what it holds. Raises OSError for `folder` itself.
    """
    found: list[Path] = []
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    if not is_hidden(entry.name) and path not in skip:
                        (waiting if entry.is_dir(follow_symlinks=False) else found).append(path)
        except OSError:
            if here == folder:
                raise
            found.append(here)
    return sorted(found)


def read_bytes(path: Path, root: Path, limit_mib: int) -> bytes:
    """The bytes of a file below `root`, which is resolved already, all of one moment.

    Raises Unreadable E2310 for a way out of the root, E2311 where the system refuses, E2312 for what is no file, E2314
    for one that is too large, E2350 for one that keeps changing.
    """
    for _ in range(_TRIES):
        try:
            with open_inside(path, root) as file:
                if os.fstat(file.fileno()).st_size > limit_mib * MIB:
                    raise Unreadable("E2314", limit=limit_mib)
                raw = file.read(limit_mib * MIB + 1)
                if len(raw) > limit_mib * MIB:
                    raise Unreadable("E2314", limit=limit_mib)
            return raw
        except Unreadable as refused:
            if refused.code != "E2350":
                raise
    raise Unreadable("E2350")


@contextmanager
def open_inside(path: Path, root: Path) -> Iterator[BinaryIO]:
    """A regular file below `root`, which is resolved already, opened for reading.

    Raises Unreadable E2310, E2311, E2312; at its end E2350 where the file has changed meanwhile.
    """
    try:
        target = Path(os.path.realpath(path, strict=True))
        if not target.is_relative_to(root):
            raise Unreadable("E2310")
        # Looked at before it is opened: to open a device may already do something.
        if not stat.S_ISREG(target.lstat().st_mode):
            raise Unreadable("E2312")
        # Not to block on a pipe, and not to follow a link, put there since.
        handle = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                raise Unreadable("E2312")
            if not _opened_as(handle, target).is_relative_to(root):
                raise Unreadable("E2310")
            yield file
            if _state(os.fstat(handle)) != _state(before):
                raise Unreadable("E2350")
    except OSError as error:
        raise Unreadable("E2311", reason=error.strerror or str(error)) from error


def _opened_as(handle: int, target: Path) -> Path:
    """Where the open file really lies: a folder on its way may have become a link since the path was resolved."""
    try:
        return Path(f"/proc/self/fd/{handle}").readlink()
    except OSError:
        return target


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
