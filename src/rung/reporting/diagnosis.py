"""The diagnosis as a report and a terminal show it: the axis, the arms, the matrix, what to try next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.core.task import Language
from rung.reporting.letters import clean, one_line, wrap
from rung.reporting.numbers import NONE, Numbers
from rung.reporting.tables import Table, table_lines
from rung.reporting.words import Words
from rung.store.diagnosis import Arm, Diagnosis, Effect, MatrixCell
from rung.store.records import Interval

_SHARE = "accuracy"
"""Stands for any share of 1 where `Numbers` asks for a metric."""


@dataclass(frozen=True)
class CellPart:
    """One cell of the matrix with its examples."""

    title: str
    cell: MatrixCell


@dataclass(frozen=True)
class DiagnosisView:
    """Everything that is said, in one language; nothing is worked out anew."""

    axis: str
    lead: str
    finding: str
    reason: str
    advice: str
    arms: Table
    note: str
    missing: tuple[str, ...]
    matrix_lead: str
    matrix: Table | None
    cells: tuple[CellPart, ...]
    retrieval: tuple[str, ...]
    cautions: tuple[str, ...]


def view_diagnosis(found: Diagnosis, words: Words, numbers: Numbers) -> DiagnosisView:
    """The diagnosis in words of one language."""
    effects = {effect.arm: effect for effect in found.effects}
    split = words.known(f"diagnosis.split_{found.split}", found.split)
    finding = words(
        "diagnosis.finding",
        context=words(f"diagnosis.finding_{found.context}"),
        behaviour=words(f"diagnosis.finding_{found.behaviour}"),
    )
    uncontrolled = any(effect.against == "plain" for effect in found.effects)
    return DiagnosisView(
        axis=words(f"diagnosis.axis_{found.axis}"),
        lead=words("diagnosis.lead", n=found.n, split=split, errors=found.errors),
        finding=finding,
        reason=words.of(found.reason),
        advice=words.of(found.advice),
        arms=_arms(found.arms, effects, words, numbers),
        note=words("diagnosis.effect_note_plain") if uncontrolled else words("diagnosis.effect_note"),
        missing=tuple(
            words("labelled", name=arm_name(arm.name, words), value=words("diagnosis.missing", why=words.of(why)))
            for arm in found.arms
            if arm.source == "missing" and (why := arm.why_missing) is not None
        ),
        matrix_lead=words("diagnosis.matrix_none")
        if found.repeated is None
        else words("diagnosis.matrix_lead", repeated=found.repeated, errors=found.errors),
        matrix=_matrix(found.matrix, words) if found.repeated else None,
        cells=tuple(CellPart(_cell_title(cell, words), cell) for cell in found.matrix if cell.examples),
        retrieval=_retrieval(found, words, numbers),
        cautions=tuple(words.of(caution) for caution in found.cautions),
    )


def arm_name(name: str, words: Words) -> str:
    """What an arm is called; an arm of your own by its own name."""
    return words.known(f"diagnosis.arm_{name}", name)


def _arms(arms: Sequence[Arm], effects: dict[str, Effect], words: Words, numbers: Numbers) -> Table:
    keys = ("arm", "right", "wrong", "refused", "share", "fixed", "broken", "effect")
    rows = []
    for arm in arms:
        if arm.source == "missing":
            continue
        effect = effects.get(arm.name)
        copied = arm.source == "copied"
        rows.append(
            (
                arm_name(arm.name, words),
                *(str(count) for count in (arm.right, arm.wrong, arm.refused)),
                words("diagnosis.copied") if copied else numbers.quality(arm.share, _SHARE),
                *((str(effect.fixed), str(effect.broken)) if effect else (NONE, NONE)),
                signed_interval(effect.effect, _SHARE, words, numbers) if effect else NONE,
            )
        )
    return Table(tuple(words(f"diagnosis.{key}") for key in keys), tuple(rows))


def signed_interval(interval: Interval, metric: str, words: Words, numbers: Numbers) -> str:
    """A difference with its interval: `+35.0 (+20.1 to +48.2)`."""
    if interval.point is None:
        return NONE
    (point,) = numbers.steps([interval.point], metric, sign=True)
    if interval.low is None or interval.high is None:
        return words("quality", point=point, bounds=words("no_interval"))
    low, high = numbers.steps([interval.low, interval.high], metric, sign=True)
    return words("diagnosis.effect_value", point=point, low=low, high=high)


def _answer_key(mends: bool | None) -> str:
    return "unknown" if mends is None else "yes" if mends else "no"


def _matrix(cells: Sequence[MatrixCell], words: Words) -> Table:
    """Rows: whether the passage mends it; columns: whether format examples do."""
    rows = list(dict.fromkeys(cell.knowledge for cell in cells))
    columns = list(dict.fromkeys(cell.format for cell in cells))
    by_place = {(cell.knowledge, cell.format): cell for cell in cells}
    head = ("", *(words(f"diagnosis.format_{_answer_key(column)}") for column in columns))
    return Table(
        head,
        tuple(
            (
                words(f"diagnosis.knowledge_{_answer_key(row)}"),
                *(_count(by_place.get((row, column)), words) for column in columns),
            )
            for row in rows
        ),
    )


def _count(cell: MatrixCell | None, words: Words) -> str:
    if cell is None:
        return "0"
    told = cell.by_both and not cell.knowledge and not cell.format
    return words("diagnosis.by_both", n=cell.n, both=cell.by_both) if told else str(cell.n)


def _cell_title(cell: MatrixCell, words: Words) -> str:
    return words(
        "diagnosis.cell",
        knowledge=words(f"diagnosis.knowledge_{_answer_key(cell.knowledge)}"),
        format=words(f"diagnosis.format_{_answer_key(cell.format)}"),
        n=cell.n,
    )


def _retrieval(found: Diagnosis, words: Words, numbers: Numbers) -> tuple[str, ...]:
    told = []
    for line in found.retrieval:
        wrong = line.misses + line.reading
        if line.n:
            share = numbers.quality(line.miss_share, _SHARE)
            counts = {"misses": line.misses, "reading": line.reading, "share": share}
            told.append(words("diagnosis.retrieval_row", name=line.name, wrong=wrong, n=line.n, **counts))
        if line.fixed_by_gold is not None and line.errors:
            told.append(words("diagnosis.retrieval_gold", name=line.name, errors=line.errors, fixed=line.fixed_by_gold))
    return tuple(told)


def diagnosis_text(found: Diagnosis, language: Language, *, columns: int = 100) -> str:
    """The diagnosis for a terminal: axis, reason, advice, arms, matrix with examples; no control characters."""
    words = Words(language)
    view = view_diagnosis(found, words, Numbers(words))
    blocks = [
        [f"{found.name}: {view.axis}" if language == "en" else f"{found.name}：{view.axis}", view.finding],
        [
            *wrap(view.reason, columns),
            *wrap(words("labelled", name=words("diagnosis.advice"), value=view.advice), columns),
        ],
        [*table_lines(view.arms), *wrap(view.note, columns), *view.missing],
        [
            words("diagnosis.matrix"),
            *wrap(view.matrix_lead, columns),
            *(table_lines(view.matrix) if view.matrix else []),
        ],
        [line for part in view.cells for line in _cell_lines(part, words)],
        [part for line in view.retrieval for part in wrap(line, columns)],
        [part for line in view.cautions for part in wrap(line, columns)],
    ]
    return clean("\n\n".join("\n".join(block) for block in blocks if block)) + "\n"


def _cell_lines(part: CellPart, words: Words) -> list[str]:
    lines = [part.title]
    for shown in part.cell.examples:
        lines.append(f"  - {one_line(shown.question)}")
        if shown.references:
            value = one_line(" / ".join(shown.references))
            lines.append("      " + words("labelled", name=words("diagnosis.reference"), value=value))
        for arm, answer in shown.answers.items():
            lines.append("      " + words("labelled", name=arm_name(arm, words), value=one_line(answer)))
    return lines
