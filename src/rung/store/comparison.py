"""Records of `rung compare`: corrected tests of every pair, and the gate. Written as `comparison.json` in the run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rung.core.durable import write_json
from rung.core.task import Frozen
from rung.store.records import Interval, Text
from rung.store.runs import reading

SCHEMA = 1
NAME = "comparison.json"


class PairTest(Frozen):
    """Whether it makes a difference which of two systems answered."""

    first: str
    second: str
    """Names of the systems."""
    test: Literal["mcnemar", "permutation"]
    """Exact McNemar where every score is right or wrong and no questions belong together, else a permutation test."""
    p_value: float | None
    p_holm: float | None
    """Corrected for all pairs by Holm's method."""


class GateLine(Frozen):
    """One system against the baseline, on the questions that both have a score for."""

    name: str
    difference: Interval
    """system - baseline; each end is a one-sided 95 % bound, shared over the systems that are gated."""
    shown: Literal["not_worse", "worse", "open"]
    passed: bool
    n: int
    failed_share: float
    examples_needed: int | None = None
    """Questions that would show it, as estimated from the spread seen; None where no number would."""
    said: Text
    """One line about it."""


class GateRecord(Frozen):
    """Whether all systems hold against the baseline."""

    baseline: str
    margin: float
    mode: Literal["strict", "lenient"]
    lines: tuple[GateLine, ...]

    @property
    def passed(self) -> bool:
        return all(line.passed for line in self.lines)


class PreferenceRecord(Frozen):
    """Which of two systems' answers a licensed judge prefers, every pair of answers asked in both orders."""

    first: str
    second: str
    """Names of the systems."""
    judge: str
    """Name of the judging model."""
    wins: int
    ties: int
    losses: int
    """Questions on which the first system's answer was preferred, neither, and the second's. A verdict that changes with the
    order is a tie."""
    failed: int
    """Questions that one of the two did not answer, or where the judge gave no usable reply."""
    win_rate: Interval
    """Share of questions won by the first system, ties counted half; 95 %, whole groups resampled."""
    position_bias: Interval
    """1: always the answer shown first; -1: always the other."""
    swayed: Interval
    """Share of the questions on which the order changed the verdict."""
    said: Text
    """One line about it."""


class Comparison(Frozen):
    """What `rung compare` found beside the decision."""

    schema_version: int = SCHEMA
    metric: str
    pairs: tuple[PairTest, ...]
    identical: bool = False
    """Every question has the same score from every system."""
    gate: GateRecord | None = None
    preferences: tuple[PreferenceRecord, ...] = ()
    """A licensed judge's, of every pair of systems."""
    notes: tuple[Text, ...] = ()
    """What was left out, and which judge's marks are not shown."""


def read_comparison(run: Path) -> Comparison | None:
    """What `rung compare` wrote beside the decision; None in any other run. Raises DataError E2901 for a damaged record."""
    path = run / NAME
    if not path.is_file():
        return None
    with reading(path):
        return Comparison.model_validate_json(path.read_bytes())


def write_comparison(run: Path, comparison: Comparison) -> None:
    """Keep it as `comparison.json`."""
    write_json(run / NAME, comparison.model_dump(mode="json"))


def add_to_comparison(run: Path, *, notes: Sequence[Text] = (), preferences: Sequence[PreferenceRecord] = ()) -> None:
    """Say something more in the record of a comparison."""
    found = read_comparison(run)
    if found is not None and (notes or preferences):
        more = {"notes": (*found.notes, *notes), "preferences": (*found.preferences, *preferences)}
        write_comparison(run, found.model_copy(update=more))
