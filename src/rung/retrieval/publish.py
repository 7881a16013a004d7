"""A folder of files published whole: written aside, sealed by a manifest, renamed; and checked when it is read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, WriteError
from rung.core.hashing import hash_file, hash_json

MANIFEST = "manifest.json"
_ABANDONED_SECONDS = 3600


def publish(folder: Path, files: Mapping[str, bytes], about: Mapping[str, Any]) -> None:
    """Make `folder` appear with these files and a manifest of `about`, their sizes and checksums.

    A reader sees all of it or nothing. When another process publishes the same folder at the same time, the first one
    stays; a damaged folder of that name is replaced. Raises WriteError E5001, E5002.
    """
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(folder.parent)
        working = _aside(folder)
        try:
            working.mkdir()
            for name, data in files.items():
                _write(working / name, data)
            listed = {name: {"size": len(data), "sha256": _sha256(data)} for name, data in files.items()}
            manifest = {**about, "files": listed}
            manifest["seal"] = _seal(manifest)
            _write(working / MANIFEST, (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())
            _sync_folder(working)
            while not is_sound(folder):
                _set_aside(folder)
                _rename(working, folder)
            _sync_folder(folder.parent)
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
    if not isinstance(manifest, dict) or manifest.pop("seal", "") != _seal(manifest):
        raise DataError("E2703", str(folder), file=MANIFEST)
    for name, file in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != file["size"] or hash_file(path) != file["sha256"]:
            raise DataError("E2703", str(folder), file=name)
    return manifest


def is_sound(folder: Path) -> bool:
    """Whether a whole and undamaged folder has been published there."""
    try:
        verified(folder)
    except DataError:
        return False
    return True


def _seal(manifest: dict[str, Any]) -> str:
    return hash_json(manifest, 64)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")


def _set_aside(folder: Path) -> None:
    """Move a damaged folder away and delete it; it holds nothing that cannot be made again."""
    aside = _aside(folder)
    with suppress(FileNotFoundError):
        folder.replace(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _rename(working: Path, folder: Path) -> None:
    try:
        working.replace(folder)
    except OSError as error:
        # Another process was first.
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise


def _clear_abandoned(parent: Path) -> None:
    """Delete what killed processes have left. Writing takes seconds, so an old working folder is nobody's."""
    for left in parent.glob(".*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn a disk's refusal into WriteError: E5001 in general, E5002 when it is full."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise WriteError("E5002", path=path) from error
        raise WriteError("E5001", path=path, reason=error.strerror or str(error)) from error
