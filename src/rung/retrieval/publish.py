"""A folder of files published whole: written aside, sealed by a manifest, renamed; and checked when it is read."""

from __future__ import annotations

import errno
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rung.core.durable import aside, differing, listed, seal, sync, writing
from rung.core.errors import DataError
from rung.core.hashing import hash_json

MANIFEST = "manifest.json"
_ABANDONED_SECONDS = 3600


def publish(folder: Path, files: Mapping[str, bytes], about: Mapping[str, Any]) -> None:
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
            for name, data in files.items():
                (working / name).write_bytes(data)
            manifest = {**about, "files": listed(working)}
            seal(working, MANIFEST, {**manifest, "seal": _stamp(manifest)})
            while not _renamed(working, folder) and not is_sound(folder):
                _set_aside(folder)
            sync(folder.parent)
        finally:
            shutil.rmtree(working, ignore_errors=True)


def verified(folder: Path) -> dict[str, Any]:
    """The manifest, once it and every file it lists are found to be what was published.

    Raises DataError E2702 when nothing was published there, E2703 with the name of a file that is damaged or missing.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError("E2702", str(folder)) from error
    except ValueError as error:
        raise DataError("E2703", str(folder), file=MANIFEST) from error
    if not isinstance(manifest, dict) or manifest.pop("seal", "") != _stamp(manifest):
        raise DataError("E2703", str(folder), file=MANIFEST)
    if damaged := differing(folder, manifest["files"]):
        raise DataError("E2703", str(folder), file=damaged)
    return manifest


def is_sound(folder: Path) -> bool:
    """Whether a whole and undamaged folder has been published there."""
    try:
        verified(folder)
    except DataError:
        return False
    return True


def _stamp(manifest: dict[str, Any]) -> str:
    return hash_json(manifest, 64)


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
