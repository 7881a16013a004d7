"""A set of documents from a folder, an archive or one file; a file that cannot be read is listed with its reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from rung.core.errors import DataError, Problem
from rung.core.hashing import hash_json
from rung.core.task import Document
from rung.data.intake.bench import Bench, Key
from rung.data.intake.cache import Cache
from rung.data.intake.files import Content, Files, FoundFile
from rung.data.intake.limits import Limits
from rung.data.intake.names import Name, name_of, shown
from rung.data.parsing.blocks import Block, Parsed, Remark, to_document
from rung.data.parsing.refusal import Unreadable
from rung.text.address import is_address

Progress = Callable[[float, float, str], None]
"""done, total, note"""
Clean = Callable[[Sequence[Block]], Sequence[Block]]


@dataclass(frozen=True, slots=True)
class FailedDocument:
    """A file that is not among the documents. Its reason is a code of the message catalogue, E2310-E2379."""

    id: str
    code: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> Problem:
        return Problem(self.code, self.id, self.values)


@dataclass(frozen=True)
class DocumentsResult:
    """What a source held: len(documents) + len(copies) + len(failed) = total. Hidden files are not counted."""

    documents: tuple[Document, ...]
    failed: tuple[FailedDocument, ...]
    total: int
    copies: Mapping[str, str] = field(default_factory=dict)
    """Files with the same bytes as a document, by their id: the document's id."""
    remarks: Mapping[str, tuple[Remark, ...]] = field(default_factory=dict)
    """By document, what a person should know about how it was read."""
    parsed: int = 0
    """Contents parsed by this call; the others were known from an earlier one."""
    dropped: tuple[str, ...] = ()
    """What was left out of the documents on purpose, as it begins."""


def read_documents(
    source: Path,
    *,
    cache: Path | None = None,
    skip: Collection[Path] = (),
    limits: Limits | None = None,
    progress: Progress | None = None,
    clean: Clean | None = None,
) -> DocumentsResult:
    """Every document of a folder, a ZIP archive or a file, in the order of their paths; each file in a child process.

    A document's id is its path below the folder or in the archive. Files with the same bytes are one document. `meta` has file,
    sha256 and bytes, with what the parser knows (format, encoding, pages, ...); `name` where the id is not the file's name,
    `copies` where other files hold the same, one on a line.

    `cache`: a folder that keeps what was parsed, so that the next call parses only what is new, and a call that was killed goes
    on where it was. What is kept of a file goes when the file has gone. `skip`: files and
    folders that are no documents, such as the questions. `clean` changes a file's blocks before they are text.

    Raises DataError E2734 for an address on the network, E2301 where the source cannot be listed, E2302 where none of it can be read, E2359 where no child
    process starts; WriteError where the cache cannot be written.
    """
    if is_address(str(source)) and not source.exists():
        # The value is not shown: a password may be in it.
        raise DataError("E2734")
    limits = limits or Limits()
    try:
        files = Files(source, limits, skip)
    except (OSError, ValueError) as error:
        raise DataError("E2301", path=source, reason=getattr(error, "strerror", None) or error) from error
    kept = None
    if cache:
        # A folder for each source: one does not remove what another keeps, and a project may be moved.
        kept = Cache(cache / hash_json(Path(os.path.relpath(source.resolve(), cache.resolve())).as_posix()), limits)
    intake = _Intake(files, limits, kept, progress or _silent)
    intake.run()
    result = intake.result(clean)
    if not result.documents:
        problems = [
            Problem("E2302", str(source), {"total": result.total}),
            *(item.problem for item in result.failed[:10]),
        ]
        raise DataError("E2302", problems=problems)
    if kept:
        kept.forget_others()
    return result


def _silent(done: float, total: float, note: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class _Seen:
    """A file in its order, without its bytes."""

    name: Name
    title: str
    key: Key = ("", "")
    size: int = 0
    refused: Unreadable | None = None


class _Intake:
    def __init__(self, files: Files, limits: Limits, cache: Cache | None, progress: Progress) -> None:
        self._files, self._progress = files, progress
        self._seen: list[_Seen] = []
        self._ids: set[str] = set()
        self._done = 0
        self._bench = Bench(limits, cache, self._count)

    def _count(self, note: str) -> None:
        self._done += 1
        self._progress(self._done, max(self._files.total, self._done), note)

    def run(self) -> None:
        with self._bench as bench:
            for file in self._files:
                name = self._named(file)
                if isinstance(file.content, Content):
                    key = (file.content.sha256, file.suffix)
                    try:
                        if bench.knows(key):
                            self._count(name.id)
                        else:
                            bench.add(key, file.content, name.id)
                        self._seen.append(_Seen(name, _title(file.called), key, file.content.size))
                        continue
                    except Unreadable as refused:
                        file = replace(file, content=refused)
                self._seen.append(_Seen(name, "", refused=file.content))  # type: ignore[arg-type]
                self._count(name.id)
            bench.finish()

    def _named(self, file: FoundFile) -> Name:
        name = name_of(file.name)
        id, n = name.id, 2
        while id in self._ids:
            id, n = f"{name.id}~{n}", n + 1
        self._ids.add(id)
        return replace(name, id=id)

    def result(self, clean: Clean | None) -> DocumentsResult:
        first: dict[str, _Seen] = {}
        copies: dict[str, list[str]] = {}
        failed: list[FailedDocument] = []
        for seen in self._seen:
            if seen.refused is None and isinstance(self._bench.found[seen.key], Parsed):
                first.setdefault(seen.key[0], seen)
        for seen in self._seen:
            same = first.get(seen.key[0])
            if same is None:
                refused = seen.refused or self._bench.found[seen.key]
                assert isinstance(refused, Unreadable)
                failed.append(FailedDocument(seen.name.id, refused.code, refused.values))
            elif same is not seen:
                copies.setdefault(same.name.id, []).append(seen.name.id)
        documents = [self._document(seen, copies.get(seen.name.id, []), clean) for seen in first.values()]
        remarks = {
            seen.name.id: told for seen in first.values() if (told := (*seen.name.remarks, *self._parsed(seen).remarks))
        }
        of = {copy: id for id, ids in copies.items() for copy in ids}
        return DocumentsResult(tuple(documents), tuple(failed), len(self._seen), of, remarks, self._bench.parsed)

    def _parsed(self, seen: _Seen) -> Parsed:
        found = self._bench.found[seen.key]
        assert isinstance(found, Parsed)
        return found

    def _document(self, seen: _Seen, copies: Sequence[str], clean: Clean | None) -> Document:
        parsed = self._parsed(seen)
        if clean:
            parsed = replace(parsed, blocks=tuple(clean(parsed.blocks)))
        meta = {"file": seen.name.id, "sha256": seen.key[0], "bytes": str(seen.size)}
        if seen.name.original:
            meta["name"] = seen.name.original
        if copies:
            meta["copies"] = "\n".join(copies)
        return to_document(replace(parsed, meta={**parsed.meta, **meta}), seen.name.id, seen.title)


def _title(called: str) -> str:
    """What a document is called that has no title of its own."""
    return PurePosixPath(shown(called)).stem
