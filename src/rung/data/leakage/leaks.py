"""Everything by which a test question may be known before it is asked: copies, documents, groups, time, other data sets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rung.core.task import Document, Example
from rung.data.findings import Finding
from rung.data.leakage.copies import KINDS, CopySearch, DuplicateReport, Pair, Place, find_duplicates
from rung.data.leakage.near import Progress
from rung.data.leakage.quoted import Quoted, answers_in, questions_in
from rung.data.leakage.times import time_findings

LEAKS = frozenset({"E2175", "E2176", "E2177", "E2178", "E2180"})
"""Findings that make a score better than it should be."""
_SHOWN = 20


@dataclass(frozen=True)
class Around:
    """What else is looked at, beside the splits."""

    documents: Sequence[Document] = ()
    others: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    """Texts of other data sets, by file; only their ids and inputs count."""
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds, by the id of an example."""


@dataclass(frozen=True)
class LeakReport:
    """What was found. Findings name the rows, pairs the partners."""

    copies: DuplicateReport
    contamination: tuple[Pair, ...] = ()
    """Examples that another data set holds too; the file stands in the place of its split."""
    quoted: tuple[Quoted, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def leaks(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.code in LEAKS)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return (*self.copies.pairs, *self.contamination)

    def to_json(self) -> dict[str, Any]:
        return {
            "copies": self.copies.to_json(),
            "contamination": [pair.to_json() for pair in self.contamination],
            "quoted": [{"id": q.id, "document": q.document, "answered": q.answered} for q in self.quoted],
            "findings": [finding.to_json() for finding in self.findings],
            "leaks": len(self.leaks),
        }


def find_leaks(
    splits: Mapping[str, Sequence[Example]],
    search: CopySearch | None = None,
    around: Around | None = None,
    *,
    progress: Progress | None = None,
) -> LeakReport:
    """Look for every kind of leak; `splits` by name, in the order in which they are compared (train first).

    A training split is one named train; the others are held out, and only what they share with another split is a leak.
    """
    search, around = search or CopySearch(), around or Around()
    copies = find_duplicates(splits, search, progress=progress)
    held = {name: part for name, part in splits.items() if name != "train"} or dict(splits)
    tested = splits.get("test", ()) or [example for part in held.values() for example in part]
    quoted = questions_in(tested, around.documents) if around.documents else []
    contamination = tuple(_contamination(splits, around.others, search.near, progress))
    found = [
        *_within(copies, splits),
        *across_findings(copies, splits),
        *group_findings(splits),
        *time_findings(splits, around.times),
        *_quoted(quoted, tested, around.documents),
        *_contaminated(contamination),
    ]
    return LeakReport(copies, contamination, tuple(quoted), tuple(found))


def group_findings(splits: Mapping[str, Sequence[Example]]) -> list[Finding]:
    """Groups (customers, conversations, facts) that lie in more than one split; rows are those of the later ones."""
    homes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for split, part in splits.items():
        for example in part:
            if example.group:
                homes[example.group][split].append(example.id)
    torn = {group: by_split for group, by_split in homes.items() if len(by_split) > 1}
    if not torn:
        return []
    rows = tuple(id for by_split in torn.values() for ids in list(by_split.values())[1:] for id in ids)
    return [Finding("warning", "E2177", {"n": len(torn), "rows": len(rows), "groups": _listed(list(torn))}, rows)]


def _within(copies: DuplicateReport, splits: Mapping[str, Sequence[Example]]) -> list[Finding]:
    found = []
    for split, part in splits.items():
        mine = [pair for pair in copies.within if pair.first.split == split]
        if mine:
            rows = tuple(dict.fromkeys(place.id for pair in mine for place in (pair.first, pair.second)))
            shown = split or "-"
            found.append(
                Finding("info", "E2184", {"n": len(rows), "total": len(part), "split": shown, **_counts(mine)}, rows)
            )
    return found


def across_findings(copies: DuplicateReport, splits: Mapping[str, Sequence[Example]]) -> list[Finding]:
    """One finding for each held-out split; each of its rows counts once, under the strictest kind."""
    found = []
    names = list(splits)
    for n, split in enumerate(names):
        best: dict[str, Pair] = {}
        for pair in copies.across:
            for place, other in ((pair.first, pair.second), (pair.second, pair.first)):
                if place.split == split and names.index(other.split) < n:
                    known = best.get(place.id)
                    if known is None or KINDS.index(pair.kind) < KINDS.index(known.kind):
                        best[place.id] = pair
        if best:
            values = {"n": len(best), "total": len(splits[split]), "split": split, "others": ", ".join(names[:n])}
            found.append(Finding("warning", "E2175", values | _counts(list(best.values())), tuple(best)))
    return found


def _counts(pairs: Sequence[Pair]) -> dict[str, int]:
    return {kind: sum(pair.kind == kind for pair in pairs) for kind in KINDS}


def _quoted(quoted: Sequence[Quoted], tested: Sequence[Example], documents: Sequence[Document]) -> list[Finding]:
    if not documents:
        return []
    found = []
    leaked = tuple(q.id for q in quoted if q.answered)
    if leaked:
        shown = _listed(list(dict.fromkeys(q.document for q in quoted if q.answered)))
        found.append(Finding("warning", "E2178", {"n": len(leaked), "total": len(tested), "documents": shown}, leaked))
    answers = answers_in(tested, documents)
    if answers:
        found.append(Finding("info", "E2179", {"n": len(answers), "total": len(tested)}, answers))
    return found


def _contamination(
    splits: Mapping[str, Sequence[Example]],
    others: Mapping[str, Sequence[Example]],
    near: float | None,
    progress: Progress | None,
) -> list[Pair]:
    """Pairs of our examples with those of other data sets, ours first."""
    if not others:
        return []
    sides = {
        side: [Example(f"{name}\0{e.id}", e.inputs, e.references) for name, part in parts.items() for e in part]
        for side, parts in (("ours", splits), ("theirs", others))
    }
    report = find_duplicates(sides, CopySearch(near, across=True), progress=progress)
    found: dict[tuple[Place, str], Pair] = {}
    for pair in report.pairs:
        mine, its = (pair.first, pair.second) if pair.first.split == "ours" else (pair.second, pair.first)
        here, there = (Place(*reversed(place.id.split("\0", 1))) for place in (mine, its))
        # Of many copies in one file, one says it.
        found.setdefault((here, there.split), Pair(here, there, pair.kind, pair.conflict, pair.score))
    return list(found.values())


def _contaminated(pairs: Sequence[Pair]) -> list[Finding]:
    by_file: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_file[pair.second.split].append(pair)
    found = []
    for file, mine in by_file.items():
        rows = tuple(dict.fromkeys(pair.first.id for pair in mine))
        found.append(Finding("warning", "E2180", {"n": len(rows), "file": file, **_counts(mine)}, rows))
    return found


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:_SHOWN]) + (", ..." if len(items) > _SHOWN else "")
