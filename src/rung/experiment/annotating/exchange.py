"""Rows out to Label Studio or doccano, and labels back in: read through the formats that Rung knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rung.data.record import Record
from rung.experiment.annotating.desk import Desk, Writer

Tool = Literal["label-studio", "doccano"]


@dataclass(frozen=True)
class TakenIn:
    """What an import did. taken + unknown + unlabelled + off_list = rows of the file."""

    taken: int
    unknown: tuple[str, ...]
    """Ids, or beginnings of texts, that none of the rows has."""
    unlabelled: int
    off_list: tuple[str, ...]
    """Labels that are none of the desk's."""


def take_in(desk: Desk, records: Sequence[Record], read: Sequence[Record], annotator: str) -> TakenIn:
    """Keep labels that were given in another tool, each under its annotator's name where the file says it, else `annotator`.

    A row of the file is matched by its id, and by its text where the tool gave it another id.
    """
    by_id = {record.id: record for record in records}
    by_text = {record.question.strip(): record for record in records}
    labels = set(desk.setup.labels) if desk.setup else set()
    unknown, off_list = [], []
    unlabelled = 0
    taken: dict[str, list[tuple[Record, str]]] = {}
    for row in read:
        record = by_id.get(row.id)
        if record is None or record.question.strip() != row.question.strip():
            record = by_text.get(row.question.strip())
        if record is None:
            unknown.append(row.id or row.question[:40])
            continue
        said = row.labelled or ({annotator: row.answer} if row.answer else {})
        if not said:
            unlabelled += 1
            continue
        wrong = [answer for answer in said.values() if labels and answer not in labels]
        if wrong:
            off_list.append(wrong[0])
            continue
        for who, answer in said.items():
            taken.setdefault(who, []).append((record, answer))
    for who, given in taken.items():
        with Writer(desk, who) as writer:
            for record, answer in given:
                known = writer.sheet.given.get(record.id)
                # The same file taken in twice adds nothing.
                if known is None or known.answer != answer:
                    writer.label(record, answer)
    done = {record.id for given in taken.values() for record, _ in given}
    return TakenIn(len(done), tuple(unknown), unlabelled, tuple(off_list))


def with_labels(desk: Desk, records: Sequence[Record]) -> list[Record]:
    """The rows with what everybody has said so far, as another tool should show them."""
    sheets = desk.sheets()
    found = []
    for record in records:
        said = {s.annotator: s.given[record.id].answer for s in sheets if record.id in s.given}
        found.append(record.model_copy(update={"labelled": {**record.labelled, **said}}) if said else record)
    return found
