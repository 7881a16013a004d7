"""Cleaning rows: the wanted steps in their order over every row, with what each did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rung.data.cleaning.rows import REASONS
from rung.data.cleaning.sets import SET_STEPS, apply_set_step
from rung.data.cleaning.tally import Tally
from rung.data.cleaning.texts import TextPass
from rung.data.cleaning.wanted import Wanted
from rung.data.record import Record
from rung.data.versions.version import Step

_OFTEN = 512
_LABEL = 80
"""Characters of the longest label."""
_FEW = 20
"""Answers that are too few to tell labels by how often they recur: short ones are taken for labels."""
Progress = Callable[[float, float, str], None]


@dataclass(frozen=True)
class Cleaned:
    """Rows after cleaning, and what each step did; dropped rows are those that are missing here."""

    records: tuple[Record, ...]
    steps: tuple[Step, ...]
    labels: bool
    """Whether the answers were taken for labels, and so kept from steps that change texts."""

    @property
    def changed(self) -> bool:
        """Whether any step touched or dropped anything."""
        return any(step.touched or step.rows_after < step.rows_before for step in self.steps)


def clean_records(records: Sequence[Record], wanted: Wanted | None = None, progress: Progress | None = None) -> Cleaned:
    """Run the wanted steps. Cleaning the result again changes nothing. Raises as `Wanted.names` does."""
    wanted = wanted or Wanted()
    names = wanted.names
    told = progress or (lambda done, total, note: None)
    labels = not wanted.answers and are_labels(records)
    rows, tallies = _clean_texts(records, wanted, labels, told)
    steps = [tally.step(len(rows), len(rows)) for tally in tallies]
    for name in names:
        tally = Tally(name, wanted.arguments(name))
        before = len(rows)
        if name in REASONS:
            rows = _kept(rows, wanted, tally)
        elif name in SET_STEPS:
            rows = apply_set_step(rows, wanted, labels, tally)
        else:
            continue
        steps.append(tally.step(before, len(rows)))
    told(len(records), len(records), "")
    return Cleaned(tuple(rows), tuple(steps), labels)


def _clean_texts(
    records: Sequence[Record], wanted: Wanted, labels: bool, progress: Progress
) -> tuple[list[Record], list[Tally]]:
    chosen = wanted.text_steps()
    passing = TextPass(chosen, {step.name: Tally(step.name, wanted.arguments(step.name)) for step in chosen}, labels)
    rows = []
    for n, record in enumerate(records):
        if n % _OFTEN == 0:
            progress(n, len(records), "")
        rows.append(passing.clean(record))
    return rows, list(passing.tallies.values())


def _kept(records: Sequence[Record], wanted: Wanted, tally: Tally) -> list[Record]:
    why = REASONS[tally.name]
    kept = []
    for record in records:
        reason = why(record, wanted)
        if reason:
            tally.counts[reason] += 1
            tally.sample(record.id, (), record.question, "")
        else:
            kept.append(record)
    return kept


def are_labels(records: Sequence[Record]) -> bool:
    """Whether the answers are labels: short, of one line, and few different ones for the number of rows."""
    answers = [text for record in records for text in record.answers] or [record.answer for record in records]
    answers = [text for text in answers if text.strip()]
    if not answers or any(len(text) > _LABEL or "\n" in text.strip() for text in answers):
        return False
    return len(answers) < _FEW or len(Counter(answers)) <= len(answers) / 2
