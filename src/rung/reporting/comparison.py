"""What `rung compare` found beside the decision: the gate, for page and Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from rung.reporting.numbers import Numbers
from rung.reporting.words import Words
from rung.store.comparison import Comparison


@dataclass(frozen=True)
class GateRow:
    """One system against the baseline, in words."""

    name: str
    passed: bool
    state: str
    text: str


@dataclass(frozen=True)
class GateSection:
    """Whether the gate of a pipeline lets the systems through, and by what rule."""

    passed: bool
    verdict: str
    rule: str
    rows: tuple[GateRow, ...]


def view_gate(comparison: Comparison | None, words: Words, numbers: Numbers) -> GateSection | None:
    """The gate in words of one language; None where none was asked for."""
    gate = comparison.gate if comparison else None
    if comparison is None or gate is None:
        return None
    margin = numbers.step(gate.margin, comparison.metric)
    rows = tuple(
        GateRow(line.name, line.passed, words("gate.passed" if line.passed else "gate.stopped"), words.of(line.said))
        for line in gate.lines
    )
    return GateSection(
        passed=gate.passed,
        verdict=words("gate.open" if gate.passed else "gate.shut"),
        rule=words(f"gate.{gate.mode}", baseline=gate.baseline, margin=margin),
        rows=rows,
    )
