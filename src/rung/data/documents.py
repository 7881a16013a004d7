"""A folder of documents as text; a file that cannot be read is listed with its reason, and the others go on."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rung.core.errors import DataError, Problem
from rung.core.task import Document
from rung.data.encoding import detect_encoding

SUFFIXES = frozenset({".md", ".markdown", ".txt"})
MAX_BYTES = 50 << 20
_FENCE = re.compile(r"\s{0,3}(```|~~~)")
_HEADING = re.compile(r"\s{0,3}#{1,6}\s+(.+?)(\s+#+)?\s*$")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """A file that is not among the documents. Its reason is a code of the message catalogue, E2310-E2319."""

    id: str
    code: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> Problem:
        return Problem(self.code, self.id, self.values)


@dataclass(frozen=True)
class DocumentsResult:
    """What a folder held. len(documents) + len(failed) = total; hidden files are not counted."""

    documents: tuple[Document, ...]
    failed: tuple[FailedDocument, ...]
    total: int


class _Refused(Exception):
    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code, self.values = code, values


def read_documents(folder: Path) -> DocumentsResult:
    """Every document under a folder, sorted by its id, which is its path from there.

    Raises DataError E2301 where the folder cannot be listed, E2302 where it holds no document that can be read.
    """
    documents: list[Document] = []
    failed: list[FailedDocument] = []
    root = folder.resolve()
    try:
        found = sorted(_files(folder))
    except OSError as error:
        raise DataError("E2301", path=folder, reason=error.strerror or error) from error
    for path in found:
        id = path.relative_to(folder).as_posix()
        try:
            documents.append(_read(path, id, root))
        except _Refused as refused:
            # A name that is not valid text is shown with escapes.
            shown = id.encode("utf-8", "backslashreplace").decode("utf-8")
            failed.append(FailedDocument(shown, refused.code, refused.values))
    if not documents:
        problems = [Problem("E2302", str(folder), {"total": len(found)}), *(item.problem for item in failed[:10])]
        raise DataError("E2302", problems=problems)
    return DocumentsResult(tuple(documents), tuple(failed), len(found))


def _files(folder: Path) -> Iterator[Path]:
    """Everything below that is neither hidden nor a folder; folders behind links are not entered."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)
                continue
            try:
                yield from _files(Path(entry.path))
            except PermissionError:
                yield Path(entry.path)


def _read(path: Path, id: str, root: Path) -> Document:
    try:
        id.encode("utf-8")
    except UnicodeEncodeError:
        raise _Refused("E2319") from None
    try:
        target = Path(os.path.realpath(path, strict=True))
        if not target.is_relative_to(root):
            raise _Refused("E2310")
        raw = _bytes(target)
    except OSError as error:
        raise _Refused("E2311", reason=error.strerror or error) from error
    text, encoding = _text(raw, id)
    return Document(id, _title(text) or path.stem, text, {"encoding": encoding})


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise _Refused("E2312")
    # Not to block on a pipe, and not to follow a link put there since it was resolved.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _Refused("E2312")
        if path.suffix.lower() not in SUFFIXES:
            raise _Refused("E2313", suffix=path.suffix or path.name, known=", ".join(sorted(SUFFIXES)))
        if status.st_size > MAX_BYTES:
            raise _Refused("E2314", limit=MAX_BYTES >> 20)
        return file.read(MAX_BYTES)


def _text(raw: bytes, id: str) -> tuple[str, str]:
    try:
        encoding = detect_encoding(lambda: io.BytesIO(raw), id)
        text = raw.decode(encoding.name)
    except DataError as error:
        raise _Refused("E2315" if error.code == "E2103" else "E2316") from error
    except UnicodeDecodeError as error:
        raise _Refused("E2316") from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise _Refused("E2317")
    return text, encoding.name


def _title(text: str) -> str:
    """The first Markdown heading outside a block of code, on one line."""
    fenced = False
    for line in text.split("\n"):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (heading := _HEADING.match(line)):
            return _SPACES.sub(" ", heading[1])
    return ""
