"""From traffic to examples: what people corrected, confirmed or found wrong; only with consent, and never twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from rung.core.hashing import seed_from
from rung.core.model import Failure
from rung.core.task import Example, OutputSpec, SplitName
from rung.data.leakage.copies import CopySearch, find_duplicates, near_links
from rung.data.leakage.keys import contradict, text_key
from rung.data.leakage.near import NEAR
from rung.data.privacy.mask import Masker
from rung.data.record import Record, Turn
from rung.store.traffic.records import Feedback, Trace
from rung.text.steps import json_answer, match_label

Kind = Literal["corrected", "confirmed"]
Open = Literal["disliked", "failed"]
LEFT_OUT = (
    "no_consent",
    "no_text",
    "unknown_answer",
    "no_answer_of_the_task",
    "repeated",
    "in_train",
    "in_dev",
    "in_test",
    "in_fresh_test",
    "contradicts_train",
)
"""Why something became no example, in the order in which it is looked at."""


class Traffic(Protocol):
    """The part of `store.traffic.database.Traffic` that a review reads."""

    def trace(self, id: str, tenant: str | None = None) -> Trace | None: ...

    def traces(self, since: datetime | None = None) -> Iterable[Trace]: ...

    def feedback(self, since: datetime | None = None) -> Iterable[Feedback]: ...


@dataclass(frozen=True)
class Proposed:
    """A question with an answer that somebody stands for."""

    record: Record
    kind: Kind
    only_train: bool = False
    """Nearly the same as a question of train, so that in dev it would flatter."""


@dataclass(frozen=True)
class Review:
    """What traffic offers."""

    rows: tuple[Proposed, ...]
    unanswered: tuple[tuple[Record, Open], ...]
    """Questions whose answer was not liked or failed, and that nobody has answered rightly yet: for `rung label`."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """By reason, of `LEFT_OUT`."""
    feedback: int = 0
    """Words of people that were looked at."""

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(row.kind for row in self.rows)) | dict(Counter(kind for _, kind in self.unanswered))


def review(
    traffic: Traffic,
    output: OutputSpec,
    held: Mapping[str, Sequence[Example]],
    *,
    since: datetime | None = None,
    mask: bool = False,
) -> Review:
    """Propose examples from what people said of answers.

    `held`: the examples that are there, by split ('train', 'dev', 'test', 'fresh_test'). A row needs the consent flag of the
    feedback that it comes from; a question that failed, that of its trace. What dev or test asks already, or nearly, is left out,
    and of train what it asks in the same words. `mask`: personal data becomes tags, alike in all rows.
    """
    left: Counter[str] = Counter()
    said: dict[str, Feedback] = {}
    heard = 0
    for feedback in traffic.feedback(since=since):
        heard += 1
        if feedback.consent:
            # The last word on an answer counts.
            said[feedback.trace] = _together(said.get(feedback.trace), feedback)
        else:
            left["no_consent"] += 1
    rows: list[Proposed] = []
    unanswered: list[tuple[Record, Open]] = []
    for id, word in said.items():
        trace = traffic.trace(id)
        if trace is None:
            left["unknown_answer"] += 1
        elif not trace.text.strip():
            left["no_text"] += 1
        elif word.corrected.strip() or word.rating > 0:
            row = _row(trace, word, output)
            if row is None:
                left["no_answer_of_the_task"] += 1
            else:
                rows.append(row)
        elif word.rating < 0:
            unanswered.append((_record(trace, rejected=trace.answer), "disliked"))
    for trace in traffic.traces(since=since):
        failed = bool(trace.failure) and trace.failure not in {"cancelled", "content_filter"}
        if failed and trace.role != "shadow" and trace.id not in said and trace.text.strip():
            if trace.consent:
                unanswered.append((_record(trace), "failed"))
            else:
                left["no_consent"] += 1
    if mask:
        rows, unanswered = _masked(rows, unanswered)
    rows = _each_once(rows, left)
    return Review(tuple(_new(rows, held, left)), tuple(_open(unanswered, rows, held)), dict(left), heard)


def _together(before: Feedback | None, word: Feedback) -> Feedback:
    """A later thumb without a correction does not take an earlier correction back, unless it likes the answer as it was."""
    if before is None or word.corrected or word.rating > 0 or not before.corrected:
        return word
    return before


def _row(trace: Trace, word: Feedback, output: OutputSpec) -> Proposed | None:
    """None for an answer that this task does not have."""
    corrected = bool(word.corrected.strip())
    text = word.corrected.strip() if corrected else trace.answer.strip()
    answer = _answer(text, output)
    if answer is None:
        return None
    other = trace.answer if corrected and trace.answer.strip() and trace.answer.strip() != answer else ""
    return Proposed(_record(trace, answer, rejected=other), "corrected" if corrected else "confirmed")


def _answer(text: str, output: OutputSpec) -> str | None:
    """A person's answer in the form of the task's."""
    done: object = text
    if output.kind == "label":
        done = match_label(text, output.labels)
    elif output.kind == "json":
        done = json_answer(text, output.json_schema)
    return None if isinstance(done, Failure) or not text else str(done)


def _record(trace: Trace, answer: str = "", *, rejected: str = "") -> Record:
    return Record(
        id=trace.id,
        inputs=dict(trace.inputs),
        messages=tuple(Turn(role=turn.role, content=turn.text) for turn in trace.history),
        answers=(answer,) if answer else (),
        rejected=(rejected,) if rejected else (),
        time=trace.at.isoformat(timespec="seconds"),
        source="traffic",
        extra={"candidate": trace.candidate},
    )


def _masked(
    rows: list[Proposed], unanswered: list[tuple[Record, Open]]
) -> tuple[list[Proposed], list[tuple[Record, Open]]]:
    masker = Masker(style="tag")
    records = masker.records([*(row.record for row in rows), *(record for record, _ in unanswered)])
    changed = [Proposed(record, row.kind) for record, row in zip(records, rows, strict=False)]
    return changed, [(r, kind) for r, (_, kind) in zip(records[len(rows) :], unanswered, strict=True)]


def _each_once(rows: Sequence[Proposed], left: Counter[str]) -> list[Proposed]:
    """One row for every question: a correction before a thumb, then the later one."""
    best: dict[str, Proposed] = {}
    for row in sorted(rows, key=lambda row: (row.kind == "corrected", row.record.time, row.record.id)):
        best[text_key(row.record.to_example())] = row
    left["repeated"] += len(rows) - len(best)
    return sorted(best.values(), key=lambda row: row.record.id)


def _new(rows: Sequence[Proposed], held: Mapping[str, Sequence[Example]], left: Counter[str]) -> Iterable[Proposed]:
    if not rows:
        return
    examples = {row.record.id: row.record.to_example() for row in rows}
    # New rows go last, so that each is paired with what was there before it.
    report = find_duplicates({**held, "new": list(examples.values())}, CopySearch(NEAR, across=True))
    known = {(split, example.id): example for split, part in held.items() for example in part}
    copies: dict[str, dict[str, tuple[str, str]]] = {}
    for pair in report.across:
        new, old = (pair.first, pair.second) if pair.first.split == "new" else (pair.second, pair.first)
        if new.split == "new":
            copies.setdefault(new.id, {})[old.split] = (pair.kind, old.id)
    for row in rows:
        found = copies.get(row.record.id, {})
        apart = next((split for split in ("test", "fresh_test", "dev") if split in found), None)
        kind, twin = found.get("train", ("", ""))
        if apart is not None:
            left[f"in_{apart}"] += 1
        elif kind in {"exact", "normalised"}:
            other = contradict(examples[row.record.id], known["train", twin])
            left["contradicts_train" if other else "in_train"] += 1
        else:
            yield Proposed(row.record, row.kind, only_train=bool(kind))


def _open(
    unanswered: Sequence[tuple[Record, Open]], rows: Sequence[Proposed], held: Mapping[str, Sequence[Example]]
) -> Iterable[tuple[Record, Open]]:
    """Questions without an answer, each once, that neither a row nor an example has answered."""
    seen = {text_key(row.record.to_example()) for row in rows}
    seen |= {text_key(example) for part in held.values() for example in part}
    for record, kind in unanswered:
        key = text_key(record.to_example())
        if key not in seen:
            seen.add(key)
            yield record, kind


def homes_of(
    review: Review, *, dev_share: float, fresh_share: float = 0.0
) -> dict[str, SplitName | Literal["fresh_test"]]:
    """Where each row goes, by its id: the same row always to the same place, near copies together; never to test.

    `dev_share`: of the rows that are for training. `fresh_share`: of all rows, to a test set of their own.
    """
    rows = sorted(review.rows, key=lambda row: row.record.id)
    examples = [row.record.to_example() for row in rows]
    home = list(range(len(rows)))

    def root(i: int) -> int:
        while home[i] != i:
            i = home[i]
        return i

    for one, other in near_links(examples) if len(rows) > 1 else []:
        home[max(root(one), root(other))] = min(root(one), root(other))
    only_train = {root(i) for i, row in enumerate(rows) if row.only_train}
    found: dict[str, SplitName | Literal["fresh_test"]] = {}
    for i, row in enumerate(rows):
        first = root(i)
        fresh, dev = (
            seed_from(what, text_key(examples[first])) / (1 << 63) < share
            for what, share in (("fresh", fresh_share), ("dev", dev_share))
        )
        if first in only_train:
            found[row.record.id] = "train"
        else:
            found[row.record.id] = "fresh_test" if fresh else "dev" if dev else "train"
    return found
