"""Stability as a report and a terminal show it: agreement for every way of asking again, and answers that changed."""

from __future__ import annotations

from dataclasses import dataclass

from rung.core.task import Language
from rung.reporting.diagnosis import signed_interval
from rung.reporting.letters import clean, one_line, wrap
from rung.reporting.numbers import Numbers
from rung.reporting.tables import Table, table_lines
from rung.reporting.words import Words
from rung.store.diagnosis import Changed, Stability

_SHARE = "accuracy"


@dataclass(frozen=True)
class KindPart:
    """One way of asking again, with answers that it changed."""

    title: str
    examples: tuple[Changed, ...]


@dataclass(frozen=True)
class StabilityView:
    """Everything that is said, in one language."""

    lead: str
    overall: str
    notes: tuple[str, ...]
    table: Table
    skipped: tuple[str, ...]
    changed: tuple[KindPart, ...]


def view_stability(found: Stability, name: str, words: Words, numbers: Numbers) -> StabilityView:
    """The measurement in words of one language. `name`: what the candidate is called."""
    measured = [kind for kind in found.kinds if kind.status == "measured"]
    rows = tuple(
        (
            words(f"stability.kind_{kind.kind}"),
            str(kind.n),
            str(kind.pairs),
            numbers.quality(kind.agreement, _SHARE),
            signed_interval(kind.change, found.metric, words, numbers),
        )
        for kind in measured
    )
    notes = [words("stability.repeated", repeats=found.repeats)]
    if found.deterministic:
        notes.append(words("stability.deterministic"))
    if found.light:
        notes.append(words("stability.light"))
    keys = ("way", "questions", "pairs", "agreement", "change")
    return StabilityView(
        lead=words("stability.lead", n=found.n, name=name),
        overall=words("stability.overall", value=numbers.quality(found.agreement, _SHARE)),
        notes=tuple(notes),
        table=Table(tuple(words(f"stability.{key}") for key in keys), rows),
        skipped=tuple(
            words(
                "stability.skipped",
                way=words(f"stability.kind_{kind.kind}"),
                why=words.of(kind.why_not) if kind.why_not else "",
            )
            for kind in found.kinds
            if kind.status != "measured"
        ),
        changed=tuple(
            KindPart(words(f"stability.kind_{kind.kind}"), kind.examples) for kind in measured if kind.examples
        ),
    )


def stability_text(found: Stability, language: Language, *, columns: int = 100) -> str:
    """The measurement for a terminal; no control characters."""
    words = Words(language)
    view = view_stability(found, f"{words.method(found.method)} ({found.candidate})", words, Numbers(words))
    changed = [
        line
        for part in view.changed
        for line in (part.title, *(f"  - {one_line(e.question)}\n      {_turn(e, words)}" for e in part.examples))
    ]
    blocks = [
        [words("stability.title"), *wrap(view.lead, columns), view.overall],
        table_lines(view.table),
        [*view.skipped],
        [words("stability.changed"), *changed] if changed else [],
        [part for note in view.notes for part in wrap(note, columns)],
    ]
    return clean("\n\n".join("\n".join(block) for block in blocks if block)) + "\n"


def _turn(changed: Changed, words: Words) -> str:
    return words("stability.from_to", before=one_line(changed.before), after=one_line(changed.after))
