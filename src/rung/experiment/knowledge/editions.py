"""Documents that another one has replaced: nearly the same text with a later year, version or date."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rung.core.task import Document
from rung.data.leakage.keys import key_of, numbers_in
from rung.data.leakage.near import NEAR, Search, find_near
from rung.data.leakage.times import read_time
from rung.store.knowledge import Copies, Stale
from rung.text.normalise import fold

ALIKE = 0.6
"""Overlap from which texts are editions of one document where their names say so too."""
OLD_YEARS = 3.0
"""How much older than the newest document one must be to be told for its date alone."""
_YEAR = re.compile(r"(?<!\d)(?:19[5-9]|20)\d\d(?!\d)")
_VERSION = re.compile(
    r"(?<![a-z0-9])v(?:er(?:sion)?)?[\s._-]?(\d{1,3}(?:\.\d{1,3}){0,2})(?![a-z0-9])|第([一二三四五六七八九十\d]{1,3})版"
)
_EDITION = re.compile(
    r"(?:edition|version|revised|revision|updated|effective|valid from|as of|dated|issued|published|版|修订|修訂|生效|更新|发布|發布|施行)"
)
_NUMERALS = {numeral: n for n, numeral in enumerate("一二三四五六七八九十", 1)}
_DIGITS = re.compile(r"\d+")
_NAMED = 20
"""Documents of a group that are named."""
_HEAD = 300
"""Characters of a document in which it says of when it is."""
_YEAR_SECONDS = 365.25 * 24 * 3600


@dataclass(frozen=True)
class Replaced:
    """Groups of documents that say the same, nearly the same, and documents that are out of date."""

    copies: tuple[Copies, ...]
    near: tuple[Copies, ...]
    stale: tuple[Stale, ...]


@dataclass(frozen=True)
class _Age:
    """Of when a document is: the larger is the later, where both are told by the same thing."""

    by: str
    value: tuple[float, ...]
    said: str


def find_replaced(documents: Sequence[Document]) -> Replaced:
    """Copies, near copies and old editions.

    Two texts are compared by their shingles without numbers, so that "within 14 days" meets "within 30 days": of two editions,
    that is often all that differs. As near copies they count where their numbers are the same. A document is replaced where a near copy says that it is later, by the year or version in
    its name, in its first lines, or by its date; from an overlap of 0.6 on where the names differ in nothing else, and of
    0.8 elsewhere. By age alone a document is told where it is three years older than the newest of all.
    """
    texts = [key_of(document.text) for document in documents]
    bare = [_DIGITS.sub("", text) for text in texts]
    same: dict[str, list[int]] = {}
    for place, text in enumerate(texts):
        if text:
            same.setdefault(text, []).append(place)
    firsts = sorted(places[0] for places in same.values())
    found = find_near([bare[place] for place in firsts], Search(ALIKE))
    pairs = sorted(
        (firsts[i], firsts[j], float(score))
        for i, j, score in zip(found.first.tolist(), found.second.tolist(), found.score, strict=True)
    )
    copies = [_copies(documents, places, 1.0) for places in same.values() if len(places) > 1]
    stale: dict[str, Stale] = {}
    near: list[tuple[int, int, float]] = []
    for one, other, score in pairs:
        told = _older(documents[one], documents[other], surely=score >= NEAR)
        if told is not None:
            # Of three editions, the one before the last is not what replaces the first.
            kept = stale.get(told.document)
            if kept is None or told.newer_dated > kept.newer_dated:
                stale[told.document] = told
        elif score >= NEAR and numbers_in(texts[one]) == numbers_in(texts[other]):
            near.append((one, other, score))
    by_age = {told.document: told for told in _aged(documents) if told.document not in stale}
    return Replaced(
        tuple(copies),
        tuple(_grouped(near, documents)),
        (*sorted(stale.values(), key=lambda told: told.document), *by_age.values()),
    )


def _grouped(pairs: Sequence[tuple[int, int, float]], documents: Sequence[Document]) -> Iterator[Copies]:
    """Documents that hang together by pairs, the largest group first."""
    home: dict[int, int] = {}

    def root(place: int) -> int:
        while home.setdefault(place, place) != place:
            place = home[place]
        return place

    for one, other, _ in pairs:
        home[root(other)] = root(one)
    members: dict[int, list[int]] = {}
    for place in sorted(home):
        members.setdefault(root(place), []).append(place)
    least: dict[int, float] = {}
    for one, _, score in pairs:
        least[root(one)] = min(score, least.get(root(one), 1.0))
    for first, places in sorted(members.items(), key=lambda group: (-len(group[1]), group[0])):
        yield _copies(documents, places, round(least[first], 4))


def _copies(documents: Sequence[Document], places: Sequence[int], score: float) -> Copies:
    return Copies(n=len(places), documents=tuple(documents[place].id for place in places[:_NAMED]), score=score)


def _older(one: Document, other: Document, *, surely: bool) -> Stale | None:
    """Which of two alike documents the other has replaced; None where neither says so."""
    alike = _plain_name(one) == _plain_name(other)
    if not (surely or alike):
        return None
    ages, others = _ages(one), _ages(other)
    for by, mine in ages.items():
        its = others.get(by)
        if its is None or its.value == mine.value:
            continue
        (old, older), (new, newer) = sorted(((one, mine), (other, its)), key=lambda pair: pair[1].value)
        return Stale(document=old.id, dated=older.said, newer=new.id, newer_dated=newer.said, by="edition")
    return None


def _plain_name(document: Document) -> str:
    """A name without what tells editions apart."""
    stem = _VERSION.sub("", fold(PurePosixPath(document.id).stem))
    return key_of(_DIGITS.sub("", stem))


def _ages(document: Document) -> Mapping[str, _Age]:
    """What tells of when a document is, the surest first: name, first lines, date."""
    found: dict[str, _Age] = {}
    name = fold(f"{PurePosixPath(document.id).stem} {document.title}")
    head = fold(document.text[:_HEAD])
    for by, text in (("name", name), ("head", head if _EDITION.search(head) else "")):
        if years := _YEAR.findall(text):
            found[f"{by} year"] = _Age(by, (float(max(years)),), max(years))
        if version := _VERSION.search(text):
            found[f"{by} version"] = _Age(by, _numbers(version[1] or version[2]), version[0].strip())
    date = document.meta.get("date", "")
    if (time := read_time(date)) is not None:
        found["date"] = _Age("date", (time,), date)
    return found


def _numbers(written: str) -> tuple[float, ...]:
    if written[0] in _NUMERALS:
        tens, _, ones = written.rpartition("十")
        return (float(10 * (_NUMERALS.get(tens, 1) if "十" in written else 0) + _NUMERALS.get(ones, 0)),)
    return tuple(float(part) for part in written.split("."))


def _aged(documents: Sequence[Document]) -> Iterator[Stale]:
    """Documents whose date lies years before the newest one's; the oldest first. There is no other clock."""
    dated = [(time, d) for d in documents if (time := read_time(d.meta.get("date", ""))) is not None]
    if not dated:
        return
    last, newest = max(dated, key=lambda pair: pair[0])
    for time, document in sorted(dated, key=lambda pair: pair[0]):
        if last - time >= OLD_YEARS * _YEAR_SECONDS:
            said, newer = document.meta["date"], newest.meta["date"]
            yield Stale(document=document.id, dated=said, newer=newest.id, newer_dated=newer, by="age")
