"""A folder of files published whole: written aside, sealed by a manifest, renamed; and checked when it is read."""

from __future__ import annotations

import errno
import json
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rung.core.durable import aside, differing, listed, seal, sync, writing
from rung.core.errors import DataError
from rung.core.hashing import hash_json

MANIFEST = "manifest.json"
_ABANDONED_SECONDS = 3600


Writer = Callable[[Path], None]
"""Writes one file."""


def publish(folder: Path, files: Mapping[str, Writer], about: Mapping[str, Any]) -> None:
    """Make `folder` appear with these files and a manifest of `about`, their sizes and checksums.

    A reader sees all of it or nothing. When another process publishes the same folder at the same time, the first one
    stays; a damaged folder of that name is replaced. Raises WriteError E5001, E5002.
    """
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(folder.parent)
        working = aside(folder)
        try:
            working.mkdir()
            for name, write in files.items():
                write(working / name)
            seal(working, MANIFEST, sealed({**about, "files": listed(working)}))
            while not _renamed(working, folder) and not is_sound(folder):
                _set_aside(folder)
            sync(folder.parent)
        finally:
            shutil.rmtree(working, ignore_errors=True)


def verified(folder: Path, *, whole: bool = True) -> dict[str, Any]:
    """The manifest, once it and every file it lists are found to be what was published; not `whole`: by their sizes alone.

    Raises DataError E2702 when nothing was published there, E2703 with the name of a file that is damaged or missing.
    """
    manifest = unsealed(folder / MANIFEST)
    sizes = {name: file["size"] for name, file in manifest["files"].items()}
    damaged = differing(folder, manifest["files"]) if whole else _missized(folder, sizes)
    if damaged:
        raise DataError("E2703", str(folder), file=damaged)
    return manifest


def _missized(folder: Path, sizes: Mapping[str, int]) -> str | None:
    """The first file that is missing or has another size; None when none is."""
    for name, size in sizes.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            return name
    return None


def is_sound(folder: Path) -> bool:
    """Whether a whole and undamaged folder has been published there."""
    try:
        verified(folder)
    except DataError:
        return False
    return True


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with a checksum of itself."""
    return {**record, "seal": hash_json(record, 64)}


def unsealed(path: Path) -> dict[str, Any]:
    """A sealed record from its file. Raises DataError E2702 where there is none, E2703 when it is not as it was written."""
    try:
        record = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError("E2702", str(path.parent)) from error
    except ValueError as error:
        raise DataError("E2703", str(path.parent), file=path.name) from error
    if not isinstance(record, dict) or record.pop("seal", "") != hash_json(record, 64):
        raise DataError("E2703", str(path.parent), file=path.name)
    return record


def _set_aside(folder: Path) -> None:
    """Move a damaged folder away and delete it; it holds nothing that cannot be made again."""
    away = aside(folder)
    with suppress(FileNotFoundError):
        folder.replace(away)
        shutil.rmtree(away, ignore_errors=True)


def _renamed(working: Path, folder: Path) -> bool:
    """Give the working folder its name; False where something has that name already."""
    try:
        working.replace(folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            raise
        return False
    return True


def _clear_abandoned(parent: Path) -> None:
    """Delete what killed processes have left. Writing takes seconds, so an old working folder is nobody's."""
    for left in parent.glob(".*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
