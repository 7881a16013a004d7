"""The knowledge base: documents that come, change and go, in versions that are published whole and can be taken back."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.core.answer import Item
from rung.core.durable import writing
from rung.core.errors import DataError, InterruptedRun
from rung.core.lock import folder_lock
from rung.core.model import Encoder
from rung.core.task import Document
from rung.retrieval.best_terms import Mask
from rung.retrieval.embedding import Kept, Progress
from rung.retrieval.holdings import (
    Coming,
    Difference,
    coming_documents,
    coming_items,
    difference,
    digests_held,
    documents_of,
    living_documents,
    without,
)
from rung.retrieval.index import Index
from rung.retrieval.merging import due, merge_parts
from rung.retrieval.population import Part
from rung.retrieval.publish import is_sound, verified
from rung.retrieval.segment import Contents, Segment, in_order, write_segment
from rung.retrieval.versions import (
    SEGMENTS,
    VERSIONS,
    Member,
    Pointer,
    Version,
    as_members,
    is_base,
    now,
    numbers,
    parts_of,
    path_of,
    read_pointer,
    read_version,
    write_pointer,
    write_version,
)

RECIPE: Mapping[str, int] = {"chunk_words": 120, "chunk_overlap": 20}
PARSED = "parsed"
"""Where callers may keep what they have read of documents' files; `prune` removes it."""
_EMBEDDING = "embedding"
_OWN = frozenset((SEGMENTS, VERSIONS, PARSED, _EMBEDDING, ".lock"))


@dataclass(frozen=True)
class Change:
    """What an update or a deletion came to. Counts are of documents, but for `encoded`: texts whose vectors were made."""

    version: int
    added: int = 0
    changed: int = 0
    deleted: int = 0
    unchanged: int = 0
    encoded: int = 0
    blank: tuple[str, ...] = ()
    """Documents without text: they are not in the base."""
    unknown: tuple[str, ...] = ()
    """Asked to be deleted, and not in the base."""

    @classmethod
    def of(cls, version: int, change: Difference, encoded: int = 0) -> Change:
        """What an update came to."""
        return cls(
            version,
            added=change.added,
            changed=len(change.changed),
            deleted=len(change.gone),
            unchanged=change.unchanged,
            encoded=encoded,
            blank=change.blank,
        )


class KnowledgeBase:
    """A folder of segments and versions. One process writes at a time; readers, who open `Index(folder)`, never wait.

    Whatever stops a writer, the current version stays what it was, and the same call finishes the work.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._segments = folder / SEGMENTS

    def claim(self) -> None:
        """Raises DataError E2717 where the folder holds something that is no knowledge base, nor the beginning of one."""
        if is_base(self.folder) or not self.folder.exists():
            return
        if not self.folder.is_dir() or {path.name for path in self.folder.iterdir()} - _OWN:
            raise DataError("E2717", str(self.folder))

    def open(self, encoder: Encoder | None = None, version: int | None = None) -> Index:
        """The current version, or another one, to search in."""
        return Index(self.folder, encoder, version)

    def update(
        self,
        documents: Iterable[Document],
        encoder: Encoder | None,
        *,
        recipe: Mapping[str, int] | None = None,
        remove_others: bool = False,
        progress: Progress | None = None,
    ) -> Change:
        """Take documents in: new and changed ones are cut and encoded, the others cost a comparison of their hashes.

        The first update makes the base, which keeps the encoder and the recipe (chunk_words, chunk_overlap). Vectors are
        made of texts that the base does not hold. `remove_others`: documents not among these are deleted.

        Raises DataError E2700, E2704 for another encoder, E2713 for another recipe, E2717 where the folder holds something
        else, E2701 where there is nothing to begin with, InterruptedRun E2711, BackendError E3205, WriteError.
        """
        with self._writing(new=True):
            version = self._current()
            given = recipe or (version.recipe if version else RECIPE)
            how = {name: given[name] for name in RECIPE}
            coming = coming_documents(documents, how)
            return self._change(version, coming, encoder, "passages", how, remove_others, progress)

    def update_items(
        self,
        items: Iterable[Item],
        encoder: Encoder | None,
        *,
        kind: str = "items",
        remove_others: bool = False,
        progress: Progress | None = None,
    ) -> Change:
        """The same with items that are not cut, such as solved examples. Items of one document come and go with it. Raises as `update` does."""
        with self._writing(new=True):
            coming = coming_items(items)
            return self._change(self._current(), coming, encoder, kind, {}, remove_others, progress)

    def delete(self, ids: Iterable[str]) -> Change:
        """Take documents out: the new version does not find them. Their text is on disk until `prune`.

        Raises DataError E2702 where there is no base, InterruptedRun E2711, WriteError.
        """
        names = list(dict.fromkeys(ids))
        with self._writing():
            version = read_version(self.folder)
            parts = parts_of(self.folder, version, checked=False)
            held = digests_held(parts, names)
            gone = [name for name in names if name in held]
            unknown = tuple(name for name in names if name not in held)
            if not gone:
                return Change(version.number, unknown=unknown)
            left = without(parts, gone)
            published = self._publish(version, left, {"added": 0, "changed": 0, "deleted": len(gone)})
            self._tidy(published, left)
            return Change(published.number, deleted=len(gone), unknown=unknown)

    def versions(self) -> list[Version]:
        """All that can be opened, the oldest first. Raises DataError E2702, E2703."""
        return [read_version(self.folder, number) for number in numbers(self.folder)]

    def rollback(self, to: int | None = None) -> Version:
        """Serve an earlier version again; without a number the one before the current. Raises DataError E2712, E2716."""
        with self._writing():
            pointer = read_pointer(self.folder)
            if to is None:
                before = [number for number in numbers(self.folder) if number < pointer.current]
                if not before:
                    raise DataError("E2716", str(self.folder), version=pointer.current)
                to = before[-1]
            version = read_version(self.folder, to)
            # It must still open before it is served.
            parts_of(self.folder, version)
            write_pointer(self.folder, replace(pointer, current=to))
            return version

    def compact(self) -> Version:
        """Put all segments of the current version together; what it holds, and its number, stay the same."""
        with self._writing():
            version = read_version(self.folder)
            parts = parts_of(self.folder, version, checked=False)
            if len(parts) == 1 and parts[0].living is None:
                return version
            merged = [Part(merge_parts(self._segments, parts))] if parts else []
            return self._rewritten(version, merged)

    def prune(self, keep: int = 1) -> list[int]:
        """Keep the current version and the `keep - 1` before it; the numbers of those removed.

        No text of a document that none of them holds is left in the folder. Raises as `compact` does.
        """
        if keep < 1:
            raise ValueError(f"keep={keep}: the current version is always kept")
        with self._writing():
            current = read_pointer(self.folder).current
            found = numbers(self.folder)
            kept = [number for number in found if number <= current][-keep:]
            used = self._erased([read_version(self.folder, number) for number in kept])
            with writing(self.folder):
                for path in (self.folder / VERSIONS).iterdir():
                    if path.stem not in {path_of(self.folder, number).stem for number in kept}:
                        path.unlink()
                for path in self._segments.iterdir():
                    if path.name not in used:
                        shutil.rmtree(path)
                for name in (PARSED, _EMBEDDING):
                    shutil.rmtree(self.folder / name, ignore_errors=True)
            return [number for number in found if number not in kept]

    def _change(
        self,
        version: Version | None,
        coming: Mapping[str, Coming],
        encoder: Encoder | None,
        kind: str,
        recipe: Mapping[str, int],
        remove_others: bool,
        progress: Progress | None,
    ) -> Change:
        if version:
            self._same_making(version, encoder, recipe)
        parts = parts_of(self.folder, version, checked=False) if version else []
        others = [name for name in documents_of(parts) if name not in coming] if remove_others else []
        change = difference(coming, digests_held(parts, list(coming)), others)
        if not version and not change.items:
            raise DataError("E2701", kind=kind)
        number, encoded = version.number if version else 0, 0
        if change.items or change.gone:
            left = without(parts, change.replaced)
            made_by = encoder.id if encoder else ""
            if change.items:
                contents = Contents(in_order(change.items, kind), kind, made_by, change.digests)
                segment, encoded = self._written(contents, encoder, parts, progress)
                left = [*left, Part(segment)]
            base = version or Version(0, kind, made_by, (), 0, 0, dict(recipe))
            published = self._publish(base, left, change.counts)
            shutil.rmtree(self.folder / _EMBEDDING, ignore_errors=True)
            self._tidy(published, left)
            number = published.number
        return Change.of(number, change, encoded)

    def _same_making(self, version: Version, encoder: Encoder | None, recipe: Mapping[str, int]) -> None:
        used = encoder.id if encoder else ""
        if used != version.encoder:
            raise DataError("E2704", str(self.folder), index=version.encoder or "-", encoder=used or "-")
        if dict(recipe) != dict(version.recipe):
            raise DataError("E2713", str(self.folder), found=dict(version.recipe), given=dict(recipe))

    def _written(
        self, contents: Contents, encoder: Encoder | None, parts: Sequence[Part], progress: Progress | None
    ) -> tuple[Segment, int]:
        """The new items' segment, and the number of texts that were encoded for it."""
        folder = self._segments / contents.name
        encoded = 0
        if not is_sound(folder):
            vectors = None
            if encoder is not None:
                texts = [item.text for item in contents.items]
                known: dict[str, NDArray[np.float32]] = {}
                for part in parts:
                    here = part.segment.vectors_of([text for text in dict.fromkeys(texts) if text not in known])
                    if here:
                        # Only what is whole is carried over.
                        verified(part.segment.folder)
                        known |= here
                dimensions = [part.segment.dense.vectors.shape[1] for part in parts if part.segment.dense]
                kept = Kept(self.folder / _EMBEDDING, encoder, max(dimensions, default=0))
                vectors = kept.encode(texts, known, progress)
                encoded = kept.made
            write_segment(folder, contents, vectors)
        return Segment(folder), encoded

    def _publish(self, version: Version, parts: Sequence[Part], change: Mapping[str, int]) -> Version:
        """The next version, of these parts; it is served from the moment its number stands in CURRENT."""
        highest = read_pointer(self.folder).highest if is_base(self.folder) else 0
        fresh = replace(
            version,
            number=highest + 1,
            members=as_members(parts),
            items=sum(part.size for part in parts),
            documents=sum(np.unique(living_documents(part)).size for part in parts),
            change=dict(change),
            when=now(),
        )
        write_version(self.folder, fresh)
        write_pointer(self.folder, Pointer(fresh.number, fresh.number))
        return fresh

    def _tidy(self, version: Version, parts: Sequence[Part]) -> None:
        """Put segments together where they have become many. The version is out by now: a kill here costs nothing."""
        now_parts = [part for part in parts if part.size]
        while chosen := due(now_parts):
            merged = Part(merge_parts(self._segments, [now_parts[n] for n in chosen]))
            now_parts = [*(part for n, part in enumerate(now_parts) if n not in chosen), merged]
            self._rewritten(version, now_parts)

    def _rewritten(self, version: Version, parts: Sequence[Part]) -> Version:
        fresh = replace(version, members=as_members(parts))
        write_version(self.folder, fresh)
        return fresh

    def _erased(self, versions: Sequence[Version]) -> set[str]:
        """Write anew what holds items that no version has; the names of the segments in use after that."""
        opened: dict[str, Segment] = {}
        living: dict[str, list[Mask | None]] = {}
        for version in versions:
            for part in parts_of(self.folder, version, checked=False):
                opened[part.segment.name] = part.segment
                living.setdefault(part.segment.name, []).append(part.living)
        anew: dict[str, tuple[str, Mask]] = {}
        for name, masks in living.items():
            present = [mask for mask in masks if mask is not None]
            union = np.logical_or.reduce(present) if len(present) == len(masks) else None
            if union is not None and not union.all():
                anew[name] = merge_parts(self._segments, [Part(opened[name], union)]).name, union
        used = set()
        for version in versions:
            members = [_moved(member, opened[member.name].size, anew) for member in version.members]
            if tuple(members) != version.members:
                write_version(self.folder, replace(version, members=tuple(members)))
            used |= {member.name for member in members}
        return used

    def _current(self) -> Version | None:
        return read_version(self.folder) if is_base(self.folder) else None

    @contextmanager
    def _writing(self, *, new: bool = False) -> Iterator[None]:
        if not is_base(self.folder):
            if not new:
                raise DataError("E2702", str(self.folder))
            self.claim()
        with ExitStack() as held:
            try:
                held.enter_context(folder_lock(self.folder))
            except InterruptedRun as error:
                holder = error.problems[0].values["holder"]
                raise InterruptedRun("E2711", str(self.folder), holder=holder) from error
            yield


def _moved(member: Member, size: int, anew: Mapping[str, tuple[str, Mask]]) -> Member:
    """A member whose segment was written anew without some items."""
    if member.name not in anew:
        return member
    name, union = anew[member.name]
    living = member.living(size)
    assert living is not None
    kept = living[union]
    return Member.of(name, None if kept.all() else kept)
