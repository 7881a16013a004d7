"""The next rows of one annotator: unlabelled before labelled, in the order of the desk, each with its suggestion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rung.core.errors import DataError
from rung.core.hashing import seed_from
from rung.core.method import Progress
from rung.data.record import Record
from rung.experiment.annotating.desk import Desk, Setup, Share, is_shared
from rung.experiment.annotating.order import Floats, Pool, head_doubt, label_order, random_order, text_vectors
from rung.experiment.annotating.suggest import Adviser, Suggestion

MOST_SCORED = 1000
"""Rows that a candidate is asked about before it is known which come first; a seeded draw of them where there are more."""
MOST_RANKED = 20_000
"""Rows that vectors are made for; a seeded draw where there are more."""


@dataclass(frozen=True)
class Row:
    """A row to label."""

    record: Record
    suggestion: Suggestion | None = None
    led: bool = False
    """Whether the annotator may see a suggestion, or the answer so far."""


@dataclass
class Queue:
    """The rows of one desk, as one annotator is to see them. Vectors are made once."""

    desk: Desk
    records: Sequence[Record]
    annotator: str
    setup: Setup
    adviser: Adviser | None = None
    progress: Progress | None = None
    again: bool = False
    """Whether rows that were skipped in an earlier session come back."""
    passed: set[str] = field(default_factory=set)
    """Rows skipped in this session."""
    _vectors: dict[str, int] = field(default_factory=dict)
    _matrix: Floats | None = None

    def left(self) -> list[Record]:
        """All that this annotator may still label."""
        share = self._share()
        return [record for record in self.records if record.id not in self.passed and share.holds(record)]

    def still_open(self, record: Record) -> bool:
        """Whether nobody has taken the row since it was queued."""
        return record.id not in self.passed and self._share().holds(record)

    def _share(self) -> Share:
        return Share.of(self.desk, self.annotator, self.setup, again=self.again)

    def next_rows(self, count: int) -> list[Row]:
        """The next `count` rows. Rows that have an answer come after all that have none.

        A row of the test split is not led, and its place in the order is drawn: what is tested must be neither suggested nor
        chosen by a candidate. A row for two annotators is not led either: two who follow one suggestion agree by that.
        """
        left = self.left()
        bare = [record for record in left if not record.answer]
        part = bare or left
        test = [record for record in part if record.split == "test"]
        free = [record for record in part if record.split != "test"]
        rows = self._ranked(free, count)
        rows += [Row(test[n]) for n in random_order([record.id for record in test], self.setup.seed)]
        return rows[:count]

    def _ranked(self, records: Sequence[Record], count: int) -> list[Row]:
        if not records:
            return []
        if self.setup.order == "given":
            chosen = list(records[:count])
        elif self.setup.order == "random":
            chosen = [records[n] for n in random_order([r.id for r in records], self.setup.seed)[:count]]
        else:
            chosen = self._mixed(records, count)
        led = [record for record in chosen if not is_shared(record.id, self.setup.overlap, self.setup.seed)]
        said = self.adviser.suggest(led, self.progress) if self.adviser is not None else {}
        leads = {record.id for record in led}
        return [Row(record, said.get(record.id), record.id in leads) for record in chosen]

    def _mixed(self, records: Sequence[Record], count: int) -> list[Record]:
        matrix = self._vectors_of()
        pool: Sequence[Record] = [record for record in records if record.id in self._vectors]
        if matrix is None or not pool:
            return list(records[:count])
        if self.adviser is not None:
            pool = _draw(pool, max(MOST_SCORED, count), self.setup.seed)
        here = [self._vectors[record.id] for record in pool]
        labels = self._labelled()
        known = [self._vectors[id] for id in labels]
        doubt: Floats | None
        if self.adviser is not None:
            said = self.adviser.suggest(pool, self.progress)
            doubt = np.array([said[record.id].doubt for record in pool])
        else:
            every = head_doubt(matrix, known, list(labels.values())) if self.setup.labels else None
            doubt = None if every is None else every[here]
        rng = np.random.default_rng(seed_from("label order", self.setup.seed, len(known)))
        places = label_order(Pool(matrix[here], doubt, matrix[known]), count, rng)
        return [pool[n] for n in places]

    def _labelled(self) -> dict[str, str]:
        """The rows that have a label by now, anybody's or the data's own, and whose vectors are known."""
        found = {record.id: record.answer for record in self.records if record.answer}
        for sheet in self.desk.sheets():
            found |= {id: given.answer for id, given in sheet.given.items()}
        return {id: answer for id, answer in found.items() if id in self._vectors}

    def _vectors_of(self) -> Floats | None:
        """Vectors of the rows; None where their texts hold nothing to count."""
        if self._matrix is None and not self._vectors:
            kept = _draw(self.records, MOST_RANKED, self.setup.seed)
            try:
                self._matrix = text_vectors([record.question for record in kept], seed=self.setup.seed)
            except DataError:
                return None
            self._vectors = {record.id: n for n, record in enumerate(kept)}
        return self._matrix


def _draw(records: Sequence[Record], most: int, seed: int) -> Sequence[Record]:
    """At most so many, drawn by their ids, in the order of the data."""
    if len(records) <= most:
        return records
    places = random_order([record.id for record in records], seed)[:most]
    return [records[n] for n in sorted(places)]
