"""Wrong answers grouped by what went wrong: labels taken for each other, passages missed, questions that have no answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from rung.core.evaluation import Answer, Row
from rung.core.task import Example, Task
from rung.metrics.grounding import document_of
from rung.reporting.ladder import Ladder, Line
from rung.reporting.marks import chosen_lines, mark
from rung.reporting.reading import Reading

MOST = 10
TEXT_KINDS = ("unanswerable_answered", "passage_missed", "abstained_wrongly", "passage_unused", "wrong")
"""Every wrong answer of a text task is counted in the first of these that fits."""


@dataclass(frozen=True)
class KindRow:
    """One kind of wrong answer, counted for every shown candidate."""

    kind: str
    counts: tuple[int, ...]


@dataclass(frozen=True)
class LabelRow:
    """One label and what it was taken for."""

    label: str
    n: int
    wrong: int
    failed: int
    taken_for: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class GroupRow:
    """One group of questions that belong together."""

    group: str
    n: int
    wrong: int
    failed: int


@dataclass(frozen=True)
class Mistakes:
    """What went wrong. `labels` and `groups` are the answers of `line` alone; the worst come first."""

    line: Line
    columns: tuple[Line, ...]
    scored: tuple[int, ...]
    wrong: tuple[int, ...]
    failed: tuple[int, ...]
    kinds: tuple[KindRow, ...]
    failures: tuple[KindRow, ...]
    labels: tuple[LabelRow, ...]
    groups: tuple[GroupRow, ...]


def group_mistakes(reading: Reading, ladder: Ladder) -> Mistakes | None:
    """Counts of wrong and missing answers; None while nothing has been evaluated."""
    chosen = chosen_lines(ladder)
    columns = chosen[2] if chosen else tuple(line for line in ladder.tested if line.evaluation)[:1]
    if not columns:
        return None
    line = chosen[1] if chosen else columns[0]
    rows = [line.evaluation.rows if line.evaluation else () for line in columns]
    wrong_rows = [[row for row in part if _mark(row, ladder) == "wrong"] for part in rows]
    text = reading.task.output.kind == "text"
    kinds = [
        Counter(_text_kind(row.answer, reading.examples.get(row.answer.example), reading.task) for row in part)
        for part in (wrong_rows if text else [])
    ]
    seen = [kind for kind in TEXT_KINDS if any(kind in count for count in kinds)]
    failures = [Counter(row.answer.failure.kind for row in part if row.answer.failure) for part in rows]
    own = line.evaluation.rows if line.evaluation else ()
    return Mistakes(
        line=line,
        columns=columns,
        scored=tuple(sum(_mark(row, ladder) in {"right", "wrong"} for row in part) for part in rows),
        wrong=tuple(len(part) for part in wrong_rows),
        failed=tuple(sum(_mark(row, ladder) == "failed" for row in part) for part in rows),
        kinds=_kind_rows(seen if seen != ["wrong"] else [], kinds),
        failures=_kind_rows(sorted({kind for count in failures for kind in count}), failures),
        labels=_label_rows(own, reading, ladder) if reading.task.output.kind == "label" else (),
        groups=_group_rows(own, ladder),
    )


def _mark(row: Row, ladder: Ladder) -> str:
    return mark(row.scores.get(ladder.metric), ladder.better)


def _kind_rows(kinds: list[str], counts: list[Counter[str]]) -> tuple[KindRow, ...]:
    return tuple(KindRow(kind, tuple(count[kind] for count in counts)) for kind in kinds)


def _text_kind(answer: Answer, example: Example | None, task: Task) -> str:
    """Which of TEXT_KINDS a wrong answer is. A missed passage comes before a wrong abstention, because it causes it."""
    abstain = task.output.abstain
    if example is None:
        return "wrong"
    if abstain and abstain in example.references:
        return "unanswerable_answered"
    searched = bool(answer.passages and example.documents)
    found = bool({document_of(passage) for passage in answer.passages} & set(example.documents))
    if searched and not found:
        return "passage_missed"
    if abstain and answer.text == abstain:
        return "abstained_wrongly"
    return "passage_unused" if searched else "wrong"


def _label_rows(rows: tuple[Row, ...], reading: Reading, ladder: Ladder) -> tuple[LabelRow, ...]:
    taken: dict[str, Counter[str]] = defaultdict(Counter)
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        example = reading.examples.get(row.answer.example)
        if example is None or not example.references:
            continue
        label, found = example.references[0], _mark(row, ladder)
        tally[label][found] += 1
        if found == "wrong":
            taken[label][row.answer.text] += 1
    found_rows = [
        LabelRow(label, count.total(), count["wrong"], count["failed"], tuple(taken[label].most_common(3)))
        for label, count in tally.items()
        if count["wrong"] or count["failed"]
    ]
    return tuple(sorted(found_rows, key=lambda row: (-row.wrong - row.failed, row.label))[:MOST])


def _group_rows(rows: tuple[Row, ...], ladder: Ladder) -> tuple[GroupRow, ...]:
    """The groups with most wrong answers; none where every question is a group of its own."""
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row.group:
            tally[row.group][_mark(row, ladder)] += 1
    if all(count.total() < 2 for count in tally.values()):
        return ()
    found = [GroupRow(name, count.total(), count["wrong"], count["failed"]) for name, count in tally.items()]
    bad = [row for row in found if row.wrong or row.failed]
    return tuple(sorted(bad, key=lambda row: (-row.wrong - row.failed, row.n, row.group))[:MOST])
