"""Segments put together: what still counts of several, as one; and when that is worth its cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rung.retrieval.graph import GRAPH_FROM
from rung.retrieval.population import Part
from rung.retrieval.postings import merge_postings
from rung.retrieval.publish import is_sound, verified
from rung.retrieval.segment import Contents, Segment, write_segment

MOST = 8
"""Segments of a version; every one costs each search a little."""
_DEAD = 0.5
"""Share of deleted items from which on a segment is written anew."""
_RATIO = 2
"""A segment is put together with smaller ones once it is at most so many times as large as they are together."""


def merge_parts(segments: Path, parts: Sequence[Part]) -> Segment:
    """One segment of what counts in the parts, under `segments`. No text is cut, counted or encoded again.

    Raises DataError E2703 when a file of a part is damaged, WriteError when the segment cannot be written.
    """
    for part in parts:
        verified(part.segment.folder)
    living = [_living(part) for part in parts]
    names = [(part.segment.ids[place], p, place) for p, part in enumerate(parts) for place in living[p].tolist()]
    names.sort()
    items = [parts[p].segment.item(place) for _, p, place in names]
    contents = Contents(items, parts[0].segment.kind, parts[0].segment.encoder, _digests(parts))
    folder = segments / contents.name
    if not is_sound(folder):
        places = [np.full(part.segment.size, -1, np.int32) for part in parts]
        for n, (_, p, place) in enumerate(names):
            places[p][place] = n
        postings = merge_postings([part.segment.postings for part in parts], places, len(items))
        write_segment(folder, contents, _vectors(parts, places, len(items)), postings)
    return Segment(folder)


def _living(part: Part) -> NDArray[np.int64]:
    return np.arange(part.segment.size) if part.living is None else np.flatnonzero(part.living)


def _digests(parts: Sequence[Part]) -> dict[str, int]:
    found = {}
    for part in parts:
        segment = part.segment
        for code in np.unique(segment.document[_living(part)]).tolist():
            found[segment.documents[code]] = int(segment.digests[code])
    return found


def _vectors(parts: Sequence[Part], places: Sequence[NDArray[np.int32]], items: int) -> NDArray[np.float32] | None:
    first = parts[0].segment.dense
    if first is None:
        return None
    vectors = np.empty((items, first.vectors.shape[1]), np.float32)
    for part, place in zip(parts, places, strict=True):
        assert part.segment.dense is not None
        vectors[place[place >= 0]] = part.segment.dense.vectors[place >= 0]
    return vectors


def due(parts: Sequence[Part]) -> list[int]:
    """Which parts are to be put together now; none: all is well as it is.

    Vectors that have no graph are all compared with every query, so they may be only so many. Beyond that, small ones
    come first: an item is then moved a handful of times in all, however many updates follow.
    """
    direct = [n for n, part in enumerate(parts) if part.segment.dense is not None and part.segment.dense.graph is None]
    if len(direct) > 1 and sum(parts[n].size for n in direct) > GRAPH_FROM:
        return direct
    worn = [n for n, part in enumerate(parts) if part.size < (1 - _DEAD) * part.segment.size]
    if worn:
        return worn[:1]
    if len(parts) <= MOST:
        return []
    order = sorted(range(len(parts)), key=lambda n: parts[n].size)
    chosen = order[:2]
    for n in order[2:]:
        if parts[n].size > _RATIO * sum(parts[m].size for m in chosen):
            break
        chosen.append(n)
    return sorted(chosen)
