"""Content hashes: what a split, a row, a file or a setting is, in hexadecimal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


def hash_json(value: Any, length: int = 16) -> str:
    """Hash of a JSON value, independent of key order; `length` hexadecimal digits of its SHA-256."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in full."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def hash_folder(folder: Path, suffixes: Iterable[str] = ()) -> str:
    """SHA-256 over the names and bytes of a folder's files (only those ending in `suffixes`, where given)."""
    wanted = tuple(suffixes)
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and (not wanted or p.name.endswith(wanted))):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + hash_file(path).encode())
    return digest.hexdigest()


def seed_from(*names: object) -> int:
    """A 63-bit seed derived from names, so that randomness never depends on call order or a global state."""
    return int(hash_json([str(name) for name in names], 64), 16) & ((1 << 63) - 1)
