"""Folders in the cache that are made once: whole or not there, checked by size and checksum, one maker at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rung.core.durable import aside, differing, listed, seal, writing

_MANIFEST = "MANIFEST.json"


def made_once(target: Path, make: Callable[[Path], Mapping[str, Any]]) -> Path:
    """The folder, made by `make(working folder)` where it is not there whole; what `make` returns is kept in its manifest.

    A torn or changed copy is made anew: it holds nothing that cannot be made again. Raises WriteError E5001, E5002.
    """
    if _complete(target):
        return target
    import fcntl

    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = (target.parent / f"{target.name}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _complete(target):
            _make(target, make)
    return target


def _complete(folder: Path) -> bool:
    manifest = folder / _MANIFEST
    try:
        files = json.loads(manifest.read_text("utf-8"))["files"]
        sound = differing(folder, files) is None
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        shutil.rmtree(folder, ignore_errors=True)
    return sound


def _make(target: Path, make: Callable[[Path], Mapping[str, Any]]) -> None:
    working = aside(target)
    # Folders are made under the lock, so a working folder that is there was left by a process that was killed.
    for left in [target, *target.parent.glob(f".{target.name}.*.tmp")]:
        shutil.rmtree(left, ignore_errors=True)
    try:
        with writing(target):
            working.mkdir()
        facts = make(working)
        with writing(target):
            seal(working, _MANIFEST, {**facts, "files": listed(working)})
            working.rename(target)
    finally:
        shutil.rmtree(working, ignore_errors=True)
