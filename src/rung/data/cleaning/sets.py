"""The steps that change texts by what many rows share: repeated lines, stock phrases, labels to merge."""

from __future__ import annotations

from collections.abc import Sequence

from rung.data.cleaning.boilerplate import Boilerplate, find_boilerplate
from rung.data.cleaning.furniture import find_furniture, masked
from rung.data.cleaning.tally import Tally
from rung.data.cleaning.wanted import Wanted
from rung.data.record import Record, Where

_PASSES = 6


def apply_set_step(records: Sequence[Record], wanted: Wanted, labels: bool, tally: Tally) -> list[Record]:
    """The rows with one of these steps done until it changes nothing more. A row with spans is left alone by all but
    the merging of labels, and counted."""
    touched: dict[int, tuple[Where, str, str]] = {}
    rows = list(records)
    for _ in range(_PASSES):
        changes = SET_STEPS[tally.name](rows, wanted, labels, tally)
        if not changes:
            break
        by_row: dict[int, dict[Where, str]] = {}
        for (n, where), new in changes.items():
            by_row.setdefault(n, {})[where] = new
        for n, found in by_row.items():
            before = dict(rows[n].texts())
            where, new = next(iter(found.items()))
            touched.setdefault(n, (where, before[where], new))
            rows[n] = rows[n].with_texts(lambda where, text, found=found: found.get(where, text))  # type: ignore[misc]
    for n, (where, was, new) in touched.items():
        tally.touched += 1
        tally.sample(rows[n].id, where, was, new)
    return rows


def boilerplate_in(records: Sequence[Record]) -> Boilerplate:
    """The phrases that open and close the answers, for a report or to be taken out."""
    return find_boilerplate(list(_answers(records).values()))


def _answers(records: Sequence[Record]) -> dict[tuple[int, Where], str]:
    return {
        (n, where): text
        for n, record in enumerate(records)
        for where, text in record.texts()
        if where[0] in ("answers", "rejected")
        or (where[0] == "messages" and record.messages[int(where[1])].role == "assistant")
    }


def _without_boilerplate(
    records: Sequence[Record], wanted: Wanted, labels: bool, tally: Tally
) -> dict[tuple[int, Where], str]:
    if labels:
        return {}
    found = boilerplate_in(records)
    changes = {}
    for place, text in _answers(records).items():
        new = found.strip(text)
        if new != text:
            changes[place] = new
    tally.counts.update(found.counts)
    return changes


def _without_furniture(
    records: Sequence[Record], wanted: Wanted, labels: bool, tally: Tally
) -> dict[tuple[int, Where], str]:
    places = [
        (n, where)
        for n, record in enumerate(records)
        if not record.spans
        for where, text in record.texts()
        if where[0] in ("inputs", "positives", "negatives") and "\n" in text
    ]
    pages = [dict(records[n].texts())[where].split("\n") for n, where in places]
    drop: dict[int, set[int]] = {}
    for page, line in find_furniture(pages):
        drop.setdefault(page, set()).add(line)
        tally.counts[masked(pages[page][line])] += 1
    return {
        places[page]: "\n".join(line for n, line in enumerate(pages[page]) if n not in lines).strip("\n")
        for page, lines in drop.items()
    }


def _merged(records: Sequence[Record], wanted: Wanted, labels: bool, tally: Tally) -> dict[tuple[int, Where], str]:
    changes = {}
    for place, text in _answers(records).items():
        new = wanted.merge.get(text, text)
        if new != text:
            changes[place] = new
            tally.counts[f"{text} -> {new}"] += 1
    return changes


SET_STEPS = {"furniture": _without_furniture, "boilerplate": _without_boilerplate, "labels": _merged}
