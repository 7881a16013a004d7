"""Promotion: only what holds against the champion, unless a person says why it should be served all the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rung.core.errors import DataError, Problem, TargetNotMet, UsageError
from rung.experiment.kept_run import KeptRun
from rung.experiment.next_round.contest import Corner, contest
from rung.store.deployment import Deployment, Pointer
from rung.store.rounds import Contest
from rung.store.runs import RunFolder


@dataclass(frozen=True)
class Promoted:
    """What is served now, and what it was held against."""

    pointer: Pointer
    contest: Contest | None
    forced: bool = False


def find_new(deployment: Deployment, new_run: Path | None, candidate: str | None) -> Corner:
    """The candidate that a command names: of a run its winner, else by its id.

    Raises UsageError E7123 where neither a run nor a candidate is named, E1307 where the run has no winner.
    """
    if new_run is None and not candidate:
        raise UsageError("E7123", run=deployment.run)
    kept = KeptRun(RunFolder.existing(new_run or deployment.champion.run))
    name = candidate or kept.winner
    if not name:
        raise UsageError("E1307", run=kept.run.path, known=", ".join(kept.run.candidates()))
    kept.run.read_candidate(name)
    return Corner(kept, name)


def promote(deployment: Deployment, new: Corner, *, force: bool = False, because: str = "", by: str = "") -> Promoted:
    """Serve a new candidate from now on, if it passes the contest with the champion.

    Raises TargetNotMet E7124 with every reason where it does not; UsageError E7125 for force without a reason; DataError E7121 and
    E7122 where the two cannot be compared, unless forced.
    """
    if force and not because.strip():
        raise UsageError("E7125")
    champion = deployment.champion
    if champion.same(Pointer(new.kept.run.path, new.candidate)):
        raise UsageError("E7111", name=champion.name)
    held: Contest | None = None
    try:
        held = contest(Corner(KeptRun(RunFolder(champion.run)), champion.candidate), new)
    except DataError:
        if not force:
            raise
    if held is not None and not held.passed and not force:
        reasons = [{"said": reason.en, "said_zh": reason.zh} for reason in held.reasons]
        raise TargetNotMet("E7124", problems=[Problem("E7124", values=values) for values in reasons])
    forced = force and (held is None or not held.passed)
    pointer = deployment.promote(new.kept.run.path, new.candidate, by=by, reason=because, forced=forced)
    return Promoted(pointer, held, forced)
