"""Durable writes, for every room that writes files: whole or not at all, and on disk when the call returns."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rung.core.errors import WriteError
from rung.core.hashing import hash_file


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a disk's refusal into WriteError: E5001 in general, E5002 when it is full."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise WriteError("E5002", path=path, free=free_space(path)) from error
        raise WriteError("E5001", path=path, reason=error.strerror or str(error)) from error


def free_space(path: Path) -> str:
    """Bytes that are left where a path lies, for an eye; '?' where the system does not say."""
    home = next((folder for folder in path.absolute().parents if folder.is_dir()), Path("/"))
    try:
        return f"{shutil.disk_usage(home).free / (1 << 20):,.1f} MiB"
    except OSError:
        return "?"


def aside(path: Path) -> Path:
    """A name beside a file or folder to work under until it is complete; no other process has the same one."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def write_synced(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file that nobody reads yet. `private`: readable by its owner alone from its first byte on."""
    mode = stat.S_IRUSR | stat.S_IWUSR if private else 0o666
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, data: bytes, *, private: bool = False) -> None:
    """Replace a file: a reader sees the old one or the new one, never a part. `private`: readable by its owner alone.

    Raises WriteError E5001, E5002.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        working = aside(path)
        try:
            write_synced(working, data, private=private)
            working.replace(path)
        finally:
            working.unlink(missing_ok=True)
        sync(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a whole file: a reader sees the old one or the new one, never a part. Raises WriteError E5001, E5002."""
    write_whole(path, text.encode("utf-8", "surrogatepass"))


def write_json(path: Path, value: Any) -> None:
    """The same for a JSON value; what JSON does not know is written as its text."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def sync(path: Path) -> None:
    """Put a file's bytes, or the names in a folder, on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file of a folder by name, as a manifest lists them."""
    return {
        path.name: {"size": path.stat().st_size, "sha256": hash_file(path)}
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def differing(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The first file that is missing or not as it was `listed`; None when all are."""
    for name, file in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != file["size"] or hash_file(path) != file["sha256"]:
            return name
    return None


def seal(working: Path, manifest: str, record: Mapping[str, Any]) -> None:
    """Put a working folder's files on disk, and the manifest after them, so that it vouches for what is there."""
    for path in sorted(working.iterdir()):
        if path.is_file():
            sync(path)
    write_synced(working / manifest, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())
    sync(working)
