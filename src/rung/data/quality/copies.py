"""Questions that stand twice, nearly or in full, and those of them whose answers contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rung.data.leakage.keys import key_of
from rung.data.leakage.near import Search, find_near
from rung.data.quality.personal import unreadable
from rung.data.quality.record import Conflict, Copies
from rung.data.record import Record

Progress = Callable[[float, float, str], None]
TEXT_SHOWN = 300


@dataclass(frozen=True)
class Repeats:
    """Pairs of rows, by their places: the earlier one first."""

    exact: tuple[tuple[int, int], ...]
    """Every row whose question an earlier one asks, with the first that does."""
    near: tuple[tuple[int, int], ...]
    """Near copies, of the first rows of two different questions."""
    conflicts: tuple[Conflict, ...]
    conflicting: dict[int, int]
    """Rows of a conflict with the place of a row that contradicts them."""


def find_repeats(records: Sequence[Record], keys: Sequence[str], progress: Progress | None = None) -> Repeats:
    """Copies among questions by their keys (`leakage.keys.key_of`), and near ones by their overlap."""
    homes: dict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        if key:
            homes[key].append(place)
    exact = tuple((places[0], place) for places in homes.values() for place in places[1:])
    firsts = list(homes)
    found = find_near(firsts, Search(workers=1), progress=progress)
    pairs = zip(found.first.tolist(), found.second.tolist(), strict=True)
    ends = [(homes[firsts[a]][0], homes[firsts[b]][0]) for a, b in pairs]
    near = tuple(sorted((min(a, b), max(a, b)) for a, b in ends))
    said = [_said(record) for record in records]
    conflicts: list[Conflict] = []
    conflicting: dict[int, int] = {}
    groups = [(places, False) for places in homes.values() if len(places) > 1] + [(list(pair), True) for pair in near]
    for places, is_near in groups:
        against = _contradictions(places, said)
        if not against:
            continue
        # Near copies may differ in the very word that decides, so they are no reason to doubt a row by themselves.
        if not is_near:
            conflicting |= against
        answers = tuple(dict.fromkeys(unreadable(records[place].answer[:TEXT_SHOWN]) for place in against))
        text = unreadable(records[places[0]].question[:TEXT_SHOWN])
        conflicts.append(Conflict(ids=tuple(records[p].id for p in against), answers=answers, text=text, near=is_near))
    return Repeats(exact, near, tuple(conflicts), conflicting)


def _said(record: Record) -> frozenset[str]:
    """The answers of a row as they are compared; none where it has none."""
    return frozenset(key_of(answer) for answer in record.answers or ([record.answer] if record.answer else []))


def _contradictions(places: Sequence[int], said: Sequence[frozenset[str]]) -> dict[int, int]:
    """Of rows that ask the same, those that contradict another one, with the first that they contradict."""
    # One representative for each distinct answer keeps a question asked a thousand times from being squared.
    kinds: dict[frozenset[str], int] = {}
    for place in places:
        if said[place]:
            kinds.setdefault(said[place], place)
    if len(kinds) < 2:
        return {}
    against = {answer: next((other for kind, other in kinds.items() if not kind & answer), None) for answer in kinds}
    return {place: other for place in places if said[place] and (other := against[said[place]]) is not None}


def count_copies(records: Sequence[Record], repeats: Repeats) -> Copies:
    """Rows that repeat an earlier one, counted once each."""
    exact = {later for _, later in repeats.exact}
    near = {later for _, later in repeats.near} - exact
    first = {later: earlier for earlier, later in (*repeats.near, *repeats.exact)}
    across = sum(records[later].split != records[first[later]].split for later in exact | near)
    return Copies(n=len(records), exact=len(exact), near=len(near), across=across)


def copied_rows(repeats: Repeats, n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """[n]: the place of the row that each one copies, -1 where it copies none."""
    found = np.full(n, -1, np.int64)
    for earlier, later in (*repeats.near, *repeats.exact):
        found[later] = earlier
    return found
