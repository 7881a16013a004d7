"""Right or wrong, as the deciding metric scored each answer; and questions picked by a fixed rule to show side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rung.core.evaluation import Answer, Score
from rung.core.hashing import hash_json
from rung.core.task import Example
from rung.reporting.ladder import Ladder, Line
from rung.reporting.reading import Reading

Mark = Literal["right", "wrong", "failed", "unscored"]
Kind = Literal["fixed", "broken", "both_wrong", "both_right", "unscored"]
SHOWN_KINDS: tuple[Kind, ...] = ("fixed", "broken", "both_wrong")
EACH = 3
COLUMNS = 4
HALF = 0.5
"""A score between 0 and 1 counts as right from here on; the report says so wherever such scores occur."""


def mark(score: Score | None, better: str) -> Mark:
    """What became of one answer, by its score."""
    if score is None:
        return "unscored"
    if score.status != "scored":
        return score.status
    good = score.value >= HALF if better == "higher" else score.value <= HALF
    return "right" if good else "wrong"


@dataclass(frozen=True)
class Given:
    """One candidate's answer to one question."""

    line: Line
    answer: Answer
    mark: Mark
    value: float

    @property
    def partly(self) -> bool:
        return self.mark in {"right", "wrong"} and self.value not in {0.0, 1.0}


@dataclass(frozen=True)
class Question:
    """One question and what the shown candidates answered, in the order of the columns."""

    example: Example
    kind: Kind
    given: tuple[Given, ...]


@dataclass(frozen=True)
class Sides:
    """Before and after on the same questions."""

    before: Line
    after: Line
    columns: tuple[Line, ...]
    counts: dict[Kind, int]
    questions: tuple[Question, ...]

    @property
    def recorded(self) -> bool:
        """Whether these are other systems' answers: then neither is the other's before or after."""
        return all(line.cell.method == "recorded" for line in self.columns)

    def by_kind(self) -> list[tuple[Kind, list[Question]]]:
        """The shown questions under their kind, kinds without any left out."""
        found = [(kind, [question for question in self.questions if question.kind == kind]) for kind in SHOWN_KINDS]
        return [(kind, questions) for kind, questions in found if questions]

    @property
    def partly(self) -> bool:
        return any(given.partly for question in self.questions for given in question.given)


def chosen_lines(ladder: Ladder) -> tuple[Line, Line, tuple[Line, ...]] | None:
    """Before, after and up to four columns in ladder order; None with fewer than two evaluated candidates.

    After is the winner, or while there is none the best so far. Before is the zero-shot prompt, of the same model if it can
    be; else the baseline; else the lowest rung.
    """
    ready = [line for line in ladder.tested if line.evaluation]
    if len(ready) < 2:
        return None
    sign = 1 if ladder.better == "higher" else -1
    ranked = sorted(
        ready, key=lambda line: -sign * (line.quality.point if line.quality.point is not None else -sign * 1e9)
    )
    after = next((line for line in ready if line.place == "winner"), ranked[0])
    rest = [line for line in ready if line is not after]

    def plainness(line: Line) -> tuple[int, int]:
        order = {"prompt": 0, "baseline": 1}
        return order.get(line.cell.method, 2), int(line.cell.model != after.cell.model)

    before = min(rest, key=plainness)
    baseline = [line for line in rest if line.cell.method == "baseline"]
    wanted = list(dict.fromkeys(line.candidate for line in [after, before, *baseline, *ranked]))[:COLUMNS]
    return before, after, tuple(line for line in ready if line.candidate in wanted)


def side_by_side(reading: Reading, ladder: Ladder) -> Sides | None:
    """Three questions each that the winner fixed, broke, and that both got wrong: the first by the hash of their id.

    Nobody picks them, so nobody can pick the flattering ones.
    """
    chosen = chosen_lines(ladder)
    if chosen is None:
        return None
    before, after, columns = chosen
    given = {line.candidate: _given(line, ladder) for line in columns}
    shared = [name for name in given[after.candidate] if name in given[before.candidate]]
    kinds = {name: _kind(given[before.candidate][name], given[after.candidate][name]) for name in shared}
    counts: dict[Kind, int] = dict.fromkeys(("fixed", "broken", "both_wrong", "both_right", "unscored"), 0)
    for kind in kinds.values():
        counts[kind] += 1
    questions = [
        Question(
            reading.examples[name], kind, tuple(given[c.candidate][name] for c in columns if name in given[c.candidate])
        )
        for kind in SHOWN_KINDS
        for name in _first(name for name in shared if kinds[name] == kind and name in reading.examples)
    ]
    return Sides(before, after, columns, counts, tuple(questions))


def _given(line: Line, ladder: Ladder) -> dict[str, Given]:
    rows = line.evaluation.rows if line.evaluation else ()
    found = {}
    for row in rows:
        score = row.scores.get(ladder.metric)
        value = score.value if score and score.status == "scored" else 0.0
        found[row.answer.example] = Given(line, row.answer, mark(score, ladder.better), value)
    return found


def _kind(before: Given, after: Given) -> Kind:
    if "unscored" in {before.mark, after.mark}:
        return "unscored"
    if after.mark == "right":
        return "both_right" if before.mark == "right" else "fixed"
    return "broken" if before.mark == "right" else "both_wrong"


def _first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: hash_json(name))[:EACH]
