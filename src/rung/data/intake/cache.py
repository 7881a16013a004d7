"""What was parsed before, on disk by content: a document set read again costs only what has changed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rung.core.durable import aside, writing
from rung.core.hashing import hash_file, hash_folder, hash_json
from rung.data import parsing
from rung.data.intake.limits import Limits
from rung.data.intake.wire import from_json, to_json
from rung.data.parsing.blocks import Parsed
from rung.data.parsing.refusal import Unreadable

_LIBRARIES = (
    "charset-normalizer",
    "defusedxml",
    "lxml",
    "olefile",
    "openpyxl",
    "pypdf",
    "pypdfium2",
    "python-docx",
    "python-oxmsg",
    "python-pptx",
    "trafilatura",
    "xlrd",
)
_BY_LIMITS = frozenset({"E2351", "E2352", "E2353", "E2355"})
"""Refusals that other limits would change. A child that hung or was killed is tried again: the machine may have been busy."""
_STAGING = "rung-staging-"
_FRESH_SECONDS = 600


@cache
def parser_version() -> str:
    """Hash of the parsers' code and of the libraries that they use: what another version made is not used."""
    libraries = {}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            libraries[name] = version(name)
    folder = Path(parsing.__path__[0])
    code = [hash_folder(room, [".py", ".json"]) for room in (folder, folder.parents[1] / "text")]
    reading = [hash_file(path) for path in sorted(folder.parent.glob("*.py"))]
    return hash_json([code, reading, libraries])


class Cache:
    """Parsed files, and files that cannot be read with the reason, each in a file that vouches for itself."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self._limits = [limits.seconds, limits.memory_mib, limits.text_mib]
        self._used: set[str] = set()

    def _path(self, sha256: str, suffix: str) -> Path:
        return self.folder / f"{sha256}{suffix}.{parser_version()}.json"

    def get(self, sha256: str, suffix: str) -> Parsed | Unreadable | None:
        """What is known of a content under a suffix; None where it is not known, or its file is damaged."""
        path = self._path(sha256, suffix)
        self._used.add(path.name)
        try:
            digest, _, kept = path.read_bytes().partition(b"\n")
            if hashlib.sha256(kept).hexdigest().encode() != digest:
                return None
            value = json.loads(kept.decode("utf-8", "surrogatepass"))
            if "parsed" in value:
                return from_json(value["parsed"])
            refused = Unreadable(value["code"], **value["values"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if refused.code in _BY_LIMITS and value["limits"] != self._limits:
            return None
        return refused

    def put(self, sha256: str, suffix: str, found: Parsed | Unreadable) -> None:
        """Keep what a file held. Raises WriteError E5001, E5002.

        Not forced to the disk: what a power cut takes is parsed again, and its checksum tells what is torn.
        """
        value: dict[str, Any]
        if isinstance(found, Parsed):
            value = {"parsed": to_json(found)}
        elif found.code == "E2358" or found.values.get("reason") == "SIGKILL":
            return
        else:
            value = {"code": found.code, "values": found.values, "limits": self._limits}
        kept = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
        path = self._path(sha256, suffix)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            working = aside(path)
            try:
                working.write_bytes(hashlib.sha256(kept).hexdigest().encode() + b"\n" + kept)
                working.replace(path)
            finally:
                working.unlink(missing_ok=True)

    def forget_others(self) -> None:
        """Remove what is kept of files that were not asked for: deleted, changed, or parsed by another version."""
        with writing(self.folder), contextlib.suppress(FileNotFoundError):
            for path in self.folder.iterdir():
                # A hidden file is one that is being written, perhaps by another process, or was when that was killed.
                busy = path.name.startswith(".") and time.time() - path.stat().st_mtime < _FRESH_SECONDS
                if path.is_file() and path.name not in self._used and not busy:
                    path.unlink(missing_ok=True)


@contextmanager
def staging(parent: Path) -> Iterator[Path]:
    """A folder of this process for files on their way to a child; what processes that were killed left is removed.

    Raises WriteError E5001, E5002.
    """
    with writing(parent):
        parent.mkdir(parents=True, exist_ok=True)
        _sweep(parent)
        while True:
            folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=parent))
            handle = os.open(folder, os.O_RDONLY)
            # The system drops the lock when its holder dies: a folder that can be locked belongs to nobody.
            fcntl.flock(handle, fcntl.LOCK_SH)
            if folder.exists():
                break
            # Another process swept it away before it was locked.
            os.close(handle)
    try:
        yield folder
    finally:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_STAGING}*"):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(handle)
