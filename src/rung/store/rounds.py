"""The records of a round: whether a new candidate may take the champion's place, and how a trial of one stands."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rung.core.durable import write_json
from rung.core.task import Frozen
from rung.store.records import Interval, Text
from rung.store.runs import reading

Shown = Literal["better", "not_worse", "worse", "open"]


class Side(Frozen):
    """One of the two that are compared."""

    run: str
    """Id of its run."""
    candidate: str
    score: float | None
    """The deciding metric on the questions that both have a score for."""
    failed: int


class Slice(Frozen):
    """A part of the test questions."""

    name: Text
    n: int
    difference: Interval
    """New less champion; its upper end is one-sided, and shares its error with the other slices."""
    regresses: bool
    """Shown to be worse here."""


class Contest(Frozen):
    """New against champion, on the same test questions."""

    metric: str
    n: int
    """Questions that both have a score for."""
    margin: float
    champion: Side
    new: Side
    difference: Interval
    """New less champion, paired, 95 %."""
    shown: Shown
    slices: tuple[Slice, ...] = ()
    passed: bool
    reasons: tuple[Text, ...]
    """Why it may be promoted, or why not."""


class Proposal(Frozen):
    """What a retraining came to. Kept as `serving/proposals/<run>.json`."""

    schema_version: int = 1
    at: str
    """UTC, ISO 8601."""
    run: str
    """The new run's folder, as seen from the run that is served."""
    candidate: str
    """Its winner; '' where it has none."""
    data: str
    """The data set and version that it was made from."""
    added: dict[str, int]
    """Rows from traffic, by split."""
    rounds: int = 1
    """How often the same test questions have now chosen between a champion and a new candidate."""
    contest: Contest | None = None
    promoted: bool = False


class Trial(Frozen):
    """How a challenger stands against the champion in traffic."""

    run: str
    candidate: str
    mode: Literal["canary", "shadow"]
    share: float
    since: str
    answered: int
    """Requests that the challenger has answered since then."""
    failed: int
    champion_answered: int
    champion_failed: int
    agreement: float | None = None
    """shadow: share of its answers that say the same as the champion's."""
    judged: int
    """canary: its answers that somebody judged. shadow: pairs that could be judged."""
    champion_judged: int
    difference: Interval
    """Challenger less champion; the bounds hold however often they are looked at."""
    verdict: Literal["better", "worse", "alike", "open"]
    said: Text


def write_proposal(folder: Path, name: str, proposal: Proposal) -> Path:
    path = folder / "proposals" / f"{name}.json"
    write_json(path, proposal.model_dump(mode="json"))
    return path


def read_proposals(folder: Path) -> list[Proposal]:
    """Every proposal of a deployment's folder, oldest first. Raises DataError E2901 for a damaged one."""
    found = []
    for path in sorted((folder / "proposals").glob("*.json")):
        with reading(path):
            found.append(Proposal.model_validate_json(path.read_bytes()))
    return sorted(found, key=lambda proposal: proposal.at)
