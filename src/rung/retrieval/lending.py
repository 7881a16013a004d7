"""A version of a knowledge base lent to a run: links to its segments, or a note of the version in the shared store."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from rung.core.answer import Item
from rung.core.durable import aside, write_json, writing
from rung.core.errors import DataError
from rung.core.registry import create
from rung.core.task import Document, SharedBase
from rung.retrieval.homes import POSTGRES, current_of, home_of, in_postgres
from rung.retrieval.publish import sealed
from rung.retrieval.versions import SEGMENTS, Pointer, is_base, read_version, write_pointer, write_version

PINNED = "pinned.json"
"""The note of a version in the shared store: `base` and `version`, sealed."""
_TRIES = 3
_NOT_IN_NAMES = "@/\\"


def look_up(where: str, version: int | None = None) -> SharedBase:
    """A base of documents at a version; without one the current.

    Raises DataError E2702 where there is no base, E2712 for a version that it has not, E2718 for a name that cannot stand in
    a run, E2736 where it holds no documents, and what reaching the shared store raises.
    """
    number = current_of(where) if version is None else version
    versions = home_of(where).versions()
    found = next((one for one in versions if one.number == number), None)
    if found is None:
        raise DataError("E2712", where, version=number, known=", ".join(str(one.number) for one in versions))
    name = where.removeprefix(POSTGRES) if in_postgres(where) else Path(where).resolve().name
    if not name or set(name) & set(_NOT_IN_NAMES):
        raise DataError("E2718", where, name=name)
    if found.kind != "passages" or not found.recipe:
        raise DataError("E2736", where, kind=found.kind)
    return SharedBase(
        id=f"{name}@{number}",
        where=where,
        kind="postgres" if in_postgres(where) else "index",
        encoder=found.encoder,
        documents=found.documents,
        items=found.items,
        **found.recipe,
    )


def lend(base: SharedBase, indexes: Path) -> Path:
    """Make `indexes/<name>` open as that version from now on, whatever becomes of the base; the folder.

    A base in a folder gives hard links to its segments, which never change: they take no room and outlive a `prune`. Where the
    run lies on another disk they are copied. Of one in the shared store the version's number is noted; it must be kept there.
    Stopped at any moment, the same call goes on. Raises DataError E2702, E2712; WriteError.
    """
    folder = indexes / base.name
    if in_postgres(base.where):
        if not (folder / PINNED).is_file():
            write_json(folder / PINNED, sealed({"base": base.name, "version": base.version}))
    elif not is_base(folder):
        with writing(folder):
            _link(base, folder)
    return folder


def _link(base: SharedBase, folder: Path) -> None:
    for attempt in range(_TRIES):
        version = read_version(Path(base.where), base.version)
        try:
            for member in version.members:
                _link_files(Path(base.where) / SEGMENTS / member.name, folder / SEGMENTS / member.name)
        except FileNotFoundError:
            # Segments may have been put together, and the old ones removed, since the version was read.
            if attempt == _TRIES - 1:
                raise DataError("E2702", base.where) from None
            continue
        write_version(folder, version)
        # Last: from here on the folder is a base.
        write_pointer(folder, Pointer(version.number, version.number))
        return


def _link_files(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        if (target / file.name).is_file():
            continue
        try:
            os.link(file, target / file.name)
        except FileNotFoundError:
            raise
        except OSError:
            # Another disk, or one without links.
            copy = aside(target / file.name)
            shutil.copyfile(file, copy)
            copy.replace(target / file.name)


def items_of(base: SharedBase, folder: Path) -> list[Item]:
    """Every passage of a base that was lent to `folder`, in the order of their ids."""
    return list(create("retriever", base.kind, folder=folder, encoder=None).items)


def documents_of(base: SharedBase) -> tuple[Document, ...]:
    """The documents that a base holds, put together from their passages, by id.

    Characters stand where they stood; between passages there are line breaks. What the parser knew, such as pages, is not kept.
    """
    items = home_of(base.where).open(None, base.version).items  # type: ignore[attr-defined]
    by_document: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_document[item.payload["document"]].append(item)
    return tuple(_document(id, by_document[id]) for id in sorted(by_document))


def _document(id: str, items: Iterable[Item]) -> Document:
    pieces = sorted(items, key=lambda item: (item.payload["start"], item.payload["end"]))
    text, at = [], 0
    for item in pieces:
        start, end = item.payload["start"], item.payload["end"]
        if end <= at:
            continue
        # A passage's text ends with its characters of the document; before them stand title and headings.
        body = item.text[len(item.text) - (end - start) :]
        text += ["\n" * max(0, start - at), body[max(0, at - start) :]]
        at = end
    first = pieces[0].payload
    return Document(
        id,
        first.get("title", ""),
        "".join(text),
        access=tuple(first.get("access", ())),
        metadata=dict(first.get("metadata", {})),
    )
