"""A segment: items with their postings, vectors and marks in one folder, published whole and never changed after."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Item
from rung.core.errors import DataError
from rung.retrieval.arrays import Arrays, map_arrays, write_arrays
from rung.retrieval.best_terms import Workspace
from rung.retrieval.dense import Dense
from rung.retrieval.graph import GRAPH_FROM, build_graph, open_graph
from rung.retrieval.marks import Marks
from rung.retrieval.names import Lookup, Strings
from rung.retrieval.postings import Postings, build_postings
from rung.retrieval.publish import Writer, publish, verified

FORMAT = 2
VERSION = 1
ITEMS, PLACES, WORDS = "items.jsonl", "items.safetensors", "marks.json"
LEXICAL, VECTORS, GRAPH = "lexical.safetensors", "vectors.safetensors", "graph.usearch"


@dataclass(frozen=True)
class Contents:
    """What a segment is made of. Items stand in the order of their ids; `digests`: hash of each document, by id."""

    items: Sequence[Item]
    kind: str
    encoder: str = ""
    digests: Mapping[str, int] | None = None

    @cached_property
    def rows(self) -> list[bytes]:
        return [_line(item) for item in self.items]

    @cached_property
    def name(self) -> str:
        """Hash of all that a search can tell apart."""
        digest = hashlib.sha256(json.dumps([FORMAT, VERSION, self.kind, self.encoder]).encode())
        for row in self.rows:
            digest.update(row)
        if self.digests:
            digest.update(json.dumps(sorted(self.digests.items())).encode())
        return digest.hexdigest()[:16]


def in_order(items: Iterable[Item], kind: str) -> list[Item]:
    """Items by their ids. Raises DataError E2700 when two have one id, E2701 when there are none."""
    ordered = sorted(items, key=lambda item: item.id)
    if not ordered:
        raise DataError("E2701", kind=kind)
    for first, second in pairwise(ordered):
        if first.id == second.id:
            raise DataError("E2700", kind=kind, id=first.id)
    return ordered


def document_of(item: Item) -> str:
    """The document that an item is a passage of; an item that is none stands for itself."""
    return str(item.payload.get("document", item.id))


def write_segment(
    folder: Path, contents: Contents, vectors: NDArray[np.float32] | None, postings: Postings | None = None
) -> None:
    """Publish a segment under its name. `postings`: those of the items, where they are known. Raises WriteError."""
    items = contents.items
    found = postings or build_postings([item.text for item in items])
    marks = Marks.of(items)
    starts = np.zeros(len(items) + 1, np.int64)
    np.cumsum([len(row) for row in contents.rows], out=starts[1:])
    documents: dict[str, int] = {}
    codes = [documents.setdefault(document_of(item), len(documents)) for item in items]
    digests = contents.digests or {}
    places: Arrays = {
        "rows": starts,
        **Strings.of(item.id for item in items).arrays("ids"),
        **Lookup.of(item.id for item in items).arrays("ids"),
        **Lookup.of(item.text for item in items).arrays("texts"),
        "document": np.array(codes, np.int32),
        **Strings.of(documents).arrays("documents"),
        **Lookup.of(documents).arrays("documents"),
        "digests": np.array([digests.get(name, 0) for name in documents], np.uint64),
        **marks.arrays(),
    }
    files: dict[str, Writer] = {
        ITEMS: lambda path: _write_rows(path, contents.rows),
        PLACES: lambda path: _write(path, places),
        WORDS: lambda path: _write_rows(path, [json.dumps(marks.words()).encode()]),
        LEXICAL: lambda path: _write(path, found.arrays()),
    }
    if vectors is not None:
        files[VECTORS] = lambda path: _write(path, {"vectors": vectors})
        if len(vectors) >= GRAPH_FROM:
            files[GRAPH] = lambda path: build_graph(vectors, path)
    about = {
        "format": FORMAT,
        "id": f"{contents.name}@{VERSION}",
        "kind": contents.kind,
        "encoder": contents.encoder,
        "items": len(items),
    }
    publish(folder, files, about)


def _line(item: Item) -> bytes:
    row = {"id": item.id, "text": item.text, "payload": item.payload}
    return (json.dumps(row, ensure_ascii=False, default=dict) + "\n").encode("utf-8", "surrogatepass")


def _write(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        write_arrays(file, arrays)


def _write_rows(path: Path, rows: Sequence[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(rows)


class Segment:
    """An opened segment. Its files are mapped: only what a search looks at is read."""

    def __init__(self, folder: Path, *, checked: bool = True) -> None:
        """`checked` False: a file is taken for whole by its size, where nothing that is found is shown or kept.

        Raises DataError E2702 where there is no segment, E2703 when a file is damaged, E2706 for another format, E2707 when
        it is another one than the folder's name says.
        """
        manifest = verified(folder, whole=checked)
        if manifest["format"] != FORMAT:
            raise DataError("E2706", str(folder), found=manifest["format"], known=FORMAT)
        if manifest["id"].split("@")[0] != folder.name:
            raise DataError("E2707", str(folder), found=manifest["id"])
        self.folder = folder
        self.id: str = manifest["id"]
        self.name = folder.name
        self.kind: str = manifest["kind"]
        self.encoder: str = manifest["encoder"]
        self.size: int = manifest["items"]
        self._places = map_arrays(folder / PLACES)
        with (folder / ITEMS).open("rb") as file:
            self._rows = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.ids = Strings.from_arrays(self._places, "ids")
        self.marks = Marks.from_kept(self._places, json.loads((folder / WORDS).read_bytes()))
        self.postings = Postings.from_arrays(map_arrays(folder / LEXICAL))
        self.workspace = Workspace(self.size)
        self.dense: Dense | None = None
        if self.encoder:
            vectors: NDArray[np.float32] = map_arrays(folder / VECTORS)["vectors"]
            path = folder / GRAPH
            self.dense = Dense(vectors, open_graph(path, vectors.shape[1]) if path.exists() else None)

    @property
    def document(self) -> NDArray[np.int32]:
        """int32 [size]: the number of every item's document."""
        return self._places["document"]

    @cached_property
    def documents(self) -> Strings:
        """The documents' ids."""
        return Strings.from_arrays(self._places, "documents")

    @property
    def digests(self) -> NDArray[np.uint64]:
        """uint64 [documents]: what every document's content came to; 0 where that was not kept."""
        return self._places["digests"]

    def find_documents(self, ids: Sequence[str]) -> list[int]:
        """The number of every document, -1 where it has no item here."""
        return Lookup.from_arrays(self._places, "documents").find(ids, self.documents)

    def find(self, ids: Sequence[str]) -> list[int]:
        """The place of every item by its id, -1 where it is none of this segment's."""
        return Lookup.from_arrays(self._places, "ids").find(ids, self.ids)

    def row(self, place: int) -> bytes:
        """An item as it is kept, a JSON object and a line's end."""
        starts = self._places["rows"]
        return self._rows[starts[place] : starts[place + 1]]

    def item(self, place: int) -> Item:
        return Item(**json.loads(self.row(place).decode("utf-8", "surrogatepass")))

    def vectors_of(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors of those texts that it holds."""
        if self.dense is None:
            return {}
        found = {}
        lookup = Lookup.from_arrays(self._places, "texts")
        for text, places in zip(texts, lookup.candidates(texts), strict=True):
            for place in places[:1]:
                if self.item(place).text == text:
                    found[text] = self.dense.vectors[place]
        return found
