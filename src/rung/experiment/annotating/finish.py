"""From labels to rows: what each annotator said, one settled answer, and the step that says what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rung.data.record import Record
from rung.data.versions.version import Sample, Step
from rung.experiment.annotating.agreement import labels_given, same
from rung.experiment.annotating.desk import Desk

SHOWN = 20
NOTES = "labelling"
"""Key under `extra` for what annotators noted of a row."""


@dataclass(frozen=True)
class Finished:
    """Rows with their labels, and what was done to them."""

    records: tuple[Record, ...]
    step: Step

    @property
    def open(self) -> int:
        """Rows on which annotators differ, and that nobody has decided: their answers stay as they were."""
        return self.step.counts.get("disagreed", 0)


def finished(desk: Desk, records: Sequence[Record]) -> Finished:
    """Put labels into rows: `labelled` for each annotator, and as the answer the decision, or what all of them said.

    Where annotators differ and nobody has decided, the answer stays as it was. Counts of the step: `labelled` rows,
    `agreed` (two or more said the same), `single` (one annotator), `adjudicated`, `disagreed`, `changed` (the row had
    another answer before), `stale` (labels of a text that has changed since, or of a row that is gone), `flagged`, and
    `by.NAME` for each annotator.
    """
    given = labels_given(desk, records)
    decided = desk.decisions()
    sheets = desk.sheets()
    counts: Counter[str] = Counter()
    samples: list[Sample] = []
    rows = []
    for record in records:
        said = given.get(record.id, {})
        decision = decided.get(record.id)
        if decision is not None and not said:
            decision = None
        notes = _notes(record, sheets)
        if not said and not notes:
            rows.append(record)
            continue
        changes: dict[str, Any] = {"extra": {**record.extra, NOTES: notes}} if notes else {}
        if said:
            counts["labelled"] += 1
            counts.update(f"by.{who}" for who in said)
            changes["labelled"] = {**record.labelled, **said}
            answer = _settle(said, decision, counts)
            if answer and record.answer not in {"", answer}:
                counts["changed"] += 1
                samples.append(Sample(id=record.id, before=record.answer, after=answer, where="answers.0"))
            if answer:
                changes |= _answered(record, answer)
        counts["flagged"] += bool(notes.get("flagged"))
        rows.append(record.model_copy(update=changes))
    said_at_all = {id for sheet in sheets for id in sheet.given}
    counts["stale"] = len(said_at_all - set(given))
    touched = sum(row is not record for row, record in zip(rows, records, strict=True))
    setup = desk.setup
    step = Step(
        name="label",
        arguments={}
        if setup is None
        else {"labels": len(setup.labels), "overlap": setup.overlap, "order": setup.order},
        rows_before=len(records),
        rows_after=len(rows),
        touched=touched,
        counts={name: n for name, n in counts.items() if n},
        samples=tuple(samples[:SHOWN]),
    )
    return Finished(tuple(rows), step)


def _settle(said: dict[str, str], decision: dict[str, Any] | None, counts: Counter[str]) -> str:
    if decision is not None and not same(said):
        counts["adjudicated"] += 1
        return str(decision["answer"])
    if not same(said):
        counts["disagreed"] += 1
        return ""
    counts["agreed" if len(said) > 1 else "single"] += 1
    return next(iter(said.values()))


def _answered(record: Record, answer: str) -> dict[str, Any]:
    """A dialogue's answer is its last turn; any other row keeps its answers in `answers`."""
    last = record.messages[-1] if record.messages else None
    if last is None or record.answers:
        return {"answers": (answer,)}
    if last.role == "assistant":
        return {"messages": (*record.messages[:-1], last.model_copy(update={"content": answer}))}
    return {"answers": (answer,)}


def _notes(record: Record, sheets: Sequence[Any]) -> dict[str, Any]:
    notes = {sheet.annotator: sheet.notes[record.id] for sheet in sheets if record.id in sheet.notes}
    flagged = [sheet.annotator for sheet in sheets if record.id in sheet.flags]
    return {**({"notes": notes} if notes else {}), **({"flagged": flagged} if flagged else {})}
