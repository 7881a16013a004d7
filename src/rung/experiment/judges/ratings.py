"""What people say about answers: what to show a rater, the file of ratings, and how far raters agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rung.core.errors import DataError, Problem, UsageError
from rung.core.hashing import seed_from
from rung.core.task import Example
from rung.data.rejects import Row
from rung.data.table import DataFile
from rung.experiment.comparing.recordings import (
    ANSWER,
    MANY,
    QUESTION,
    REFERENCE,
    Columns,
    answer_of,
    example_of,
    read_recordings,
    said,
    shared_questions,
)
from rung.experiment.evaluate import number
from rung.experiment.judges.dimensions import Marks, Systems, before_and_after, dimension_rows
from rung.experiment.judges.judging import ends
from rung.metrics.judge import Rubric, Side, place
from rung.stats.agreement import krippendorff_alpha
from rung.store.judging import DimensionTable, write_table
from rung.store.records import Interval
from rung.store.runs import RunFolder

PREFERRED = "preferred"
Said = Literal["a", "b", "tie", "skip"]
SAID: tuple[Said, ...] = ("a", "b", "tie", "skip")


@dataclass(frozen=True)
class Shown:
    """One question as a rater sees it: answers without the names of those who gave them."""

    example: Example
    systems: tuple[str, ...]
    texts: tuple[str, ...]

    def row(self, rater: str, marks: Mapping[str, str]) -> dict[str, Any]:
        """The line that is kept of a rating."""
        kept: dict[str, Any] = {"id": self.example.id, "question": self.example.asked}
        if self.example.references:
            kept["reference"] = self.example.references[0]
        if self.example.group:
            kept["group"] = self.example.group
        if len(self.texts) == 1:
            kept |= {"system": self.systems[0], "answer": self.texts[0]}
        else:
            (kept["system_a"], kept["system_b"]), (kept["a"], kept["b"]) = self.systems, self.texts
        return kept | {"rater": rater} | dict(marks)


@dataclass(frozen=True)
class Answered:
    """A question with the answers of two systems that both gave one."""

    example: Example
    first: str
    second: str


@dataclass(frozen=True)
class Material:
    """What there is to rate."""

    names: tuple[str, str]
    items: tuple[Answered, ...]


def material_of_run(run: RunFolder, *, before: str = "", after: str = "") -> Material:
    """Two candidates of a run. Raises UsageError E4319 where there are not two, E4313 where they share no answer."""
    systems = before_and_after(run, before=before, after=after)
    texts = [_answers(run, candidate) for candidate in (systems.before, systems.after)]
    items = [
        Answered(e, texts[0][e.id], texts[1][e.id]) for e in run.read_examples("test") if all(e.id in t for t in texts)
    ]
    return _material((systems.called(systems.before), systems.called(systems.after)), items, str(run.path))


def material_of_files(files: Sequence[Path], columns: Columns) -> Material:
    """The answers of two files, or of two columns of one.

    Raises as `recordings.read_recordings` does; UsageError E4325 for more than two systems, E4313 where they share no answer.
    """
    recordings = read_recordings(files, columns)
    if len(recordings) != 2:
        raise UsageError("E4325", n=len(recordings))
    first, second = recordings
    items = []
    for key in shared_questions(recordings, common=columns.common):
        a, b = answer_of(key, first), answer_of(key, second)
        if a.failure is None and b.failure is None and a.text and b.text:
            items.append(Answered(example_of(key, first), a.text, b.text))
    return _material((first.name, second.name), items, ", ".join(path.name for path in files))


def _material(names: tuple[str, str], items: Sequence[Answered], where: str) -> Material:
    if not items:
        raise UsageError("E4313", where=where)
    return Material(names, tuple(items))


def to_show(material: Material, *, rater: str, seed: int = 0, marks: bool = False) -> list[Shown]:
    """What a rater is shown, in the order shown: pairs on random sides, or single answers of either system mixed.

    Order and sides follow from the seed, the rater and the question, so that a session that goes on is the same session.
    Pairs of equal answers are left out: nobody can prefer one.
    """
    found: list[Shown] = []
    for item in material.items:
        answers = list(zip(material.names, (item.first, item.second), strict=True))
        if marks:
            found += [Shown(item.example, (name,), (text,)) for name, text in answers]
        elif item.first.strip() != item.second.strip():
            if seed_from("side", seed, rater, item.example.id) % 2:
                answers.reverse()
            found.append(Shown(item.example, *(tuple(side) for side in zip(*answers, strict=True))))
    return sorted(found, key=lambda shown: seed_from("order", seed, rater, shown.example.id, *sorted(shown.systems)))


def is_rated(shown: Shown, rows: Sequence[Mapping[str, Any]], rater: str) -> bool:
    """Whether this rater has already said something about these very answers, on whichever side they stood.

    One file may hold ratings of several runs, whose questions and systems have the same names.
    """
    given = sorted(zip(shown.systems, shown.texts, strict=True))
    return any(row.get("rater") == rater and row.get("id") == shown.example.id and _given(row) == given for row in rows)


def _given(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The answers of a rating, each with its system."""
    names = [("system", "answer")] if "system" in row else [("system_a", "a"), ("system_b", "b")]
    return sorted((str(row.get(system)), str(row.get(text))) for system, text in names)


@dataclass(frozen=True)
class MarkedItem:
    """One answer and its marks, by rater."""

    example: Example
    system: str
    text: str
    marks: Mapping[str, Mapping[str, str]]

    def settled(self, dimension: str, scale: Sequence[str]) -> str | None:
        """The middle mark of all raters; of two in the middle, the lower."""
        ranks = sorted(scale.index(each[dimension]) for each in self.marks.values() if dimension in each)
        return scale[ranks[(len(ranks) - 1) // 2]] if ranks else None


@dataclass(frozen=True)
class ComparedItem:
    """Two answers and what was preferred, by rater."""

    example: Example
    systems: tuple[str, str]
    texts: tuple[str, str]
    said: Mapping[str, Side]

    def winner(self) -> str:
        """The system that most raters preferred; empty for a tie."""
        return {"first": self.systems[0], "second": self.systems[1], "tie": ""}[self.settled()]

    def settled(self) -> Side:
        """What most raters said; a tie where no answer has more than the other."""
        votes = Counter(self.said.values())
        if votes["first"] == votes["second"]:
            return "tie"
        best: Side = "first" if votes["first"] > votes["second"] else "second"
        return "tie" if votes["tie"] > votes[best] else best


@dataclass(frozen=True)
class Labels:
    """A file of ratings, one item for each answer (or pair), whoever rated it."""

    marked: tuple[MarkedItem, ...]
    compared: tuple[ComparedItem, ...]
    raters: tuple[str, ...]


def read_labels(path: Path, rubric: Rubric) -> Labels:
    """Ratings of `rung rate`, or a table of your own with the same fields; marks are in fields called as the dimensions.

    Raises UsageError E1305 for a missing file; DataError E4310 where there are no fields with labels, E4311 and E4318 with
    every label that is not on its scale, E4320 where no row has one, E2651 for a row without question or answer.
    """
    if not path.is_file():
        raise UsageError("E1305", path=path)
    file = DataFile(path)
    rows = [row for row in file if row.problem is None]
    known = list(dict.fromkeys(name for row in rows for name in row.values))
    names = [each.name for each in rubric.dimensions]
    if PREFERRED not in known and not set(names) & set(known):
        raise DataError("E4310", path.name, dimensions=", ".join(names), known=", ".join(known))
    marked: dict[tuple[str, ...], MarkedItem] = {}
    compared: dict[tuple[str, ...], ComparedItem] = {}
    problems: list[Problem] = []
    for row in rows:
        rater = str(row.values.get("rater") or "-")
        if said(row.values.get(PREFERRED)):
            _add_preference(row, rater, path, compared, problems)
            continue
        marks = _marks(row, rubric, path, problems)
        if marks:
            example, text = _example(row, path), str(_of(row, ANSWER, path))
            system = str(row.values.get("system") or "-")
            key = (example.id, system, text)
            item = marked.setdefault(key, MarkedItem(example, system, text, {}))
            marked[key] = MarkedItem(item.example, system, text, {**item.marks, rater: marks})
    if problems:
        raise DataError(problems[0].code, problems=problems[:MANY])
    if not marked and not compared:
        raise DataError("E4320", path.name)
    raters = dict.fromkeys(
        rater
        for said_by in [*(m.marks for m in marked.values()), *(c.said for c in compared.values())]
        for rater in said_by
    )
    return Labels(tuple(marked.values()), tuple(compared.values()), tuple(raters))


def _marks(row: Row, rubric: Rubric, path: Path, problems: list[Problem]) -> dict[str, str]:
    scale = {mark.casefold(): mark for mark in rubric.scale}
    found = {}
    for each in rubric.dimensions:
        value = row.values.get(each.name)
        if not said(value):
            continue
        text = str(value).strip()
        # A spreadsheet writes 4 as 4.0.
        mark = scale.get(text.casefold()) or scale.get(text.removesuffix(".0"))
        if mark is None:
            values = {"value": text[:40], "dimension": each.name, "scale": ", ".join(rubric.scale)}
            problems.append(Problem("E4311", f"{path.name}:{row.line}", values))
        else:
            found[each.name] = mark
    return found


def _add_preference(
    row: Row, rater: str, path: Path, compared: dict[tuple[str, ...], ComparedItem], problems: list[Problem]
) -> None:
    verdict = str(row.values[PREFERRED]).strip().casefold()
    if verdict not in SAID:
        problems.append(Problem("E4318", f"{path.name}:{row.line}", {"value": verdict[:40]}))
        return
    if verdict == "skip":
        return
    example = _example(row, path)
    sides = [(str(row.values.get(f"system_{side}") or "-"), str(_of(row, (side,), path))) for side in ("a", "b")]
    # One order for an item, whichever side it was shown on; drawn by lot, for if the better system always came first
    # there would be nothing that agreement could exceed.
    lots = [seed_from("side", example.id, *side) for side in sides]
    turned = lots[0] > lots[1]
    if turned:
        sides.reverse()
    names: dict[str, Side] = {"a": "second" if turned else "first", "b": "first" if turned else "second", "tie": "tie"}
    key = (example.id, *sides[0], *sides[1])
    (system_a, text_a), (system_b, text_b) = sides
    item = compared.setdefault(key, ComparedItem(example, (system_a, system_b), (text_a, text_b), {}))
    compared[key] = ComparedItem(item.example, item.systems, item.texts, {**item.said, rater: names[verdict]})


def _example(row: Row, path: Path) -> Example:
    question = str(_of(row, QUESTION, path))
    references = tuple(str(row.values[name]) for name in REFERENCE if name != "label" and said(row.values.get(name)))
    return Example(
        _text(row, "id") or question,
        {"question": question},
        references[:1],
        _text(row, "group"),
    )


def _text(row: Row, name: str) -> str:
    """What a field holds; an id or a group may well be 0."""
    return str(row.values[name]) if said(row.values.get(name)) else ""


def _of(row: Row, names: Sequence[str], path: Path) -> Any:
    for name in names:
        if said(row.values.get(name)):
            return row.values[name]
    raise DataError("E2651", f"{path.name}:{row.line}", field=" / ".join(names), known=", ".join(map(str, row.values)))


def rater_agreement(labels: Labels, rubric: Rubric) -> Interval | None:
    """Krippendorff's alpha over items that several raters saw, whole questions resampled; None with one rater.

    Ordinal over the marks of all dimensions together, or nominal over preferences where there are no marks.
    """
    ratings: list[list[float]] = []
    groups: list[str] = []
    rank = {mark: float(place) for place, mark in enumerate(rubric.scale)}
    for item in labels.marked:
        for each in rubric.dimensions:
            ratings.append([rank[marks[each.name]] for marks in item.marks.values() if each.name in marks])
            groups.append(item.example.group or item.example.id)
    scale: Literal["ordinal", "nominal"] = "ordinal" if labels.marked else "nominal"
    if not labels.marked:
        order = {"first": 0.0, "tie": 1.0, "second": 2.0}
        ratings = [[order[side] for side in pair.said.values()] for pair in labels.compared]
        groups = [pair.example.group or pair.example.id for pair in labels.compared]
    if not any(len(row) > 1 for row in ratings):
        return None
    rng = np.random.default_rng(seed_from("rater agreement"))
    found = krippendorff_alpha(ratings, rng, scale=scale, groups=groups)
    return Interval(point=number(found.value), low=number(found.low), high=number(found.high))


def ratings_table(run: RunFolder, labels: Labels, rubric: Rubric, systems: Systems) -> DimensionTable:
    """The before/after table of a run from people's marks, each answer's mark the mean of its raters; kept in the run.

    A mark counts for the answer that it was given to: one for another run's, or for an earlier answer, is left out.
    """
    low, high = ends(rubric.scale)
    sides_of = {side: _answers(run, side) for side in (systems.before, systems.after)}
    own = [
        (item, side)
        for item in labels.marked
        for side, answers in sides_of.items()
        if item.system in {side, systems.called(side)} and answers.get(item.example.id) == item.text
    ]
    groups = {item.example.id: item.example.group for item, _ in own}
    found = []
    for each in rubric.dimensions:
        marks: dict[str, dict[str, float | None]] = {systems.before: {}, systems.after: {}}
        for item, side in own:
            given = [
                place(marks_of[each.name], rubric.scale) for marks_of in item.marks.values() if each.name in marks_of
            ]
            if given:
                marks[side][item.example.id] = float(np.mean(given))
        found.append(Marks(each.name, each.definition, marks[systems.before], marks[systems.after], low, high))
    kept = tuple(item for item, _ in own)
    raters = tuple(name for name in labels.raters if any(name in item.marks for item in kept))
    table = DimensionTable(
        source="people",
        raters=raters,
        rater_agreement=rater_agreement(Labels(kept, (), raters), rubric),
        before=systems.called(systems.before),
        after=systems.called(systems.after),
        rows=dimension_rows(found, systems, groups, n=len(groups)),
    )
    write_table(run.path, table)
    return table


def _answers(run: RunFolder, candidate: str) -> dict[str, str]:
    """A candidate's answers on test by question, without those that failed."""
    evaluation = run.read_evaluation(candidate, "test")
    rows = evaluation.rows if evaluation else ()
    return {row.answer.example: row.answer.text for row in rows if row.answer.failure is None}
