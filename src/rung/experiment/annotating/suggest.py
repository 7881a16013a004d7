"""What the best candidate so far would say of a row, and how sure it is: a suggestion, never a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rung.core.answer import Opened, choice_logits, finish, open_candidate, prepare
from rung.core.append_log import AppendLog, read_log
from rung.core.errors import UsageError
from rung.core.method import Progress, Silent
from rung.core.model import Completion
from rung.data.record import Record
from rung.experiment.annotating.desk import asked
from rung.experiment.annotating.order import doubt_of
from rung.store.runs import RunFolder

CHUNK = 16
NO_CONFIDENCE = 0.5
"""Doubt about an answer whose model says nothing of its certainty: the order is then by spread alone."""


@dataclass(frozen=True)
class Suggestion:
    """A candidate's answer to one row. `text` is empty where it failed."""

    text: str
    doubt: float
    by: str
    confidence: float | None = None


@dataclass(frozen=True)
class Adviser:
    """A candidate of a run, opened, and where its suggestions are kept."""

    id: str
    opened: Opened
    log: Path

    def suggest(self, records: Sequence[Record], progress: Progress | None = None) -> dict[str, Suggestion]:
        """By row id. What was asked before is not asked again; a failed answer is asked once more."""
        stamps = {record.id: asked(record) for record in records}
        kept = {
            line["id"]: _suggestion(line, self.id)
            for line in read_log(self.log)
            if stamps.get(line["id"]) == line["asked"] and line["text"]
        }
        left = [record for record in records if record.id not in kept]
        told = progress or Silent()
        with AppendLog(self.log) as log:
            for start in range(0, len(left), CHUNK):
                part = left[start : start + CHUNK]
                lines = self._ask(part, stamps)
                log.add(lines)
                kept |= {line["id"]: _suggestion(line, self.id) for line in lines}
                told.update(len(kept), len(records), self.id)
        return kept

    def _ask(self, records: Sequence[Record], stamps: dict[str, str]) -> list[dict[str, str | float | None]]:
        examples = [record.to_example(self.opened.candidate.prompt.fields) for record in records]
        # A row of the candidate's own training would see its own answer among the examples shown.
        requests = prepare(self.opened, examples, exclude=[frozenset({record.id}) for record in records])
        completions = self.opened.model.generate(requests)
        lines: list[dict[str, str | float | None]] = []
        for example, request, completion in zip(examples, requests, completions, strict=True):
            answer = finish(self.opened, example, request, completion)
            line = {"id": example.id, "asked": stamps[example.id], "text": answer.text}
            lines.append({**line, "confidence": answer.confidence, "doubt": self._doubt(completion, answer.confidence)})
        return lines

    def _doubt(self, completion: Completion, confidence: float | None) -> float:
        if completion.failure is not None:
            return 1.0
        if completion.choice_scores:
            logits = choice_logits(np.array(completion.choice_scores), self.opened.candidate.output)
            shares = np.exp(logits - logits.max())
            return round(float(doubt_of((shares / shares.sum())[None, :])[0]), 6)
        return NO_CONFIDENCE if confidence is None else 1.0 - confidence


def open_adviser(run: Path, folder: Path, *, candidate: str = "") -> Adviser:
    """The winner of a run, or another of its candidates; suggestions are kept in `folder`.

    Raises UsageError E1301 and E1302 as reading a run does, E1307 where it has named no winner and none is given.
    """
    home = RunFolder.existing(run)
    if not candidate:
        decision = home.read_decision()
        if decision is None or decision.winner is None:
            raise UsageError("E1307", run=home.path, known=", ".join(home.candidates()))
        candidate = decision.winner
    chosen = home.read_candidate(candidate)
    opened = open_candidate(chosen, home.candidate_folder(candidate), home.indexes)
    return Adviser(candidate, opened, folder / f"suggestions.{home.path.resolve().name}.{candidate}.jsonl")


def _suggestion(line: dict[str, str | float | None], by: str) -> Suggestion:
    confidence = line["confidence"]
    return Suggestion(
        str(line["text"] or ""), float(line["doubt"] or 0.0), by, None if confidence is None else float(confidence)
    )
