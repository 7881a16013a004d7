"""The ladder as the report shows it: one line for every rung of the plan, whatever became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from rung.core.evaluation import Evaluation, Summary
from rung.reporting.reading import Reading
from rung.reporting.words import Words
from rung.store.records import Cell, Interval, Outcome, Pair, Standing

State = Literal["tested", "untested", "blocked", "failed", "skipped", "waiting"]
NOTHING = Interval(point=None)
Place = Literal["winner", "tied", "other"]


@dataclass(frozen=True)
class DevScore:
    """What a candidate reached on dev. It chose the setting and proves nothing."""

    value: float
    n: int | None


@dataclass(frozen=True)
class WithoutCopies:
    """The deciding metric less the test questions that train or dev of an official split holds too."""

    copies: int
    quality: Interval


@dataclass(frozen=True)
class Line:
    """One rung on one model."""

    cell: Cell
    name: str
    """For people: the method, and the model too where the plan has several."""
    state: State
    place: Place
    reasons: tuple[str, ...] = ()
    candidate: str = ""
    outcome: Outcome | None = None
    evaluation: Evaluation | None = None
    standing: Standing | None = None
    dev: DevScore | None = None
    quality: Interval = NOTHING
    """The deciding metric on test."""
    others: tuple[Summary, ...] = ()
    """The other metrics on test."""

    @property
    def converged(self) -> bool:
        noted = self.outcome is None or self.outcome.notes.get("converged") is not False
        return noted and (self.standing is None or self.standing.converged)

    def without_copies(self, metric: str) -> WithoutCopies | None:
        """None where no test question has a copy."""
        found = self.evaluation.extra.get("without_copies") if self.evaluation else None
        if not found:
            return None
        summary = found["summaries"].get(metric)
        return WithoutCopies(found["copies"], _interval(Summary.model_validate(summary) if summary else None))

    @property
    def n(self) -> int | None:
        return self.evaluation.header.n if self.evaluation else None

    @property
    def has_model(self) -> bool:
        return self.cell.model not in {"", "-"}


@dataclass(frozen=True)
class Ladder:
    """Every line, cheapest rung first."""

    lines: tuple[Line, ...]
    metric: str
    better: Literal["higher", "lower"]

    @property
    def recorded(self) -> bool:
        """Systems whose answers were there already: no rungs, and in no order."""
        return bool(self.lines) and all(line.cell.method == "recorded" for line in self.lines)

    @property
    def tested(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.state == "tested")

    @property
    def winner(self) -> Line | None:
        return next((line for line in self.lines if line.place == "winner"), None)

    @property
    def tied(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.place == "tied")

    def of(self, candidate: str) -> Line | None:
        return next((line for line in self.lines if candidate and line.candidate == candidate), None)

    def name(self, candidate: str) -> str:
        line = self.of(candidate)
        return line.name if line else candidate


def build_ladder(reading: Reading, words: Words) -> Ladder:
    """The plan's cells in ladder order; candidates that no cell names (recorded answers without a plan) come last."""
    cells = list(reading.plan.cells) if reading.plan else []
    outcomes = {outcome.cell.name: outcome for outcome in reading.outcomes}
    made = {outcome.candidate for outcome in outcomes.values()}
    standings = {s.candidate: s for s in reading.decision.standings} if reading.decision else {}
    strays = [name for name in sorted(reading.tests.keys() | standings.keys()) if name not in made]
    several = len({cell.model for cell in cells if cell.model not in {"", "-"}}) > 1
    found = [
        _line(reading, words, cell, outcomes.get(cell.name), several=several)
        for cell in sorted(cells, key=lambda cell: cell.rank)
    ]
    for name in strays:
        header = reading.tests[name].header if name in reading.tests else standings[name]
        cell = Cell(method=header.method, model=header.model, rank=0)
        found.append(_line(reading, words, cell, None, several=True, candidate=name))
    decision = reading.decision
    return Ladder(_distinct(found), reading.metric, decision.better if decision else "higher")


def _distinct(lines: list[Line]) -> tuple[Line, ...]:
    """Lines that would read the same get their candidate's own name behind it."""
    times = Counter(line.name for line in lines)
    return tuple(
        Line(**{**vars(line), "name": f"{line.name} · {line.candidate or line.cell.name}"})
        if times[line.name] > 1
        else line
        for line in lines
    )


def _line(
    reading: Reading, words: Words, cell: Cell, outcome: Outcome | None, *, several: bool, candidate: str = ""
) -> Line:
    candidate = candidate or (outcome.candidate if outcome else "")
    evaluation = reading.tests.get(candidate)
    decision = reading.decision
    standing = (
        next((s for s in decision.standings if s.candidate == candidate), None) if decision and candidate else None
    )
    place: Place = "other"
    if decision and candidate:
        place = "winner" if candidate == decision.winner else "tied" if candidate in decision.ties else "other"
    state, reasons = _state(cell, outcome, tested=evaluation is not None or standing is not None)
    summaries = evaluation.summaries if evaluation else {}
    return Line(
        cell=cell,
        name=_name(words, cell, several=several),
        state=state,
        place=place,
        reasons=reasons,
        candidate=candidate,
        outcome=outcome,
        evaluation=evaluation,
        standing=standing,
        dev=_dev(reading, candidate, standing, outcome),
        quality=standing.quality if standing else _interval(summaries.get(reading.metric)),
        others=tuple(summary for name, summary in summaries.items() if name != reading.metric),
    )


def _name(words: Words, cell: Cell, *, several: bool) -> str:
    if cell.method == "recorded":
        # All that is known of somebody else's system is the name of its answers.
        return cell.model
    shown = words.method(cell.method)
    return f"{shown} · {cell.model}" if several and cell.model not in {"", "-"} else shown


def _state(cell: Cell, outcome: Outcome | None, *, tested: bool) -> tuple[State, tuple[str, ...]]:
    if tested:
        return "tested", ()
    if outcome is None:
        return ("blocked", cell.blockers) if cell.blockers else ("waiting", ())
    if outcome.status == "done":
        return "untested", ()
    return outcome.status, (outcome.reason,) if outcome.reason else cell.blockers


def _interval(summary: Summary | None) -> Interval:
    return Interval(point=summary.value, low=summary.low, high=summary.high) if summary else NOTHING


def _dev(reading: Reading, candidate: str, standing: Standing | None, outcome: Outcome | None) -> DevScore | None:
    """From the evaluation on dev, else from the decision, else from the setting that did best in the search."""
    evaluation = reading.devs.get(candidate)
    summary = evaluation.summaries.get(reading.metric) if evaluation else None
    if summary and summary.value is not None:
        return DevScore(summary.value, summary.n)
    if standing and standing.dev is not None:
        return DevScore(standing.dev, None)
    if outcome and outcome.trials:
        lower = reading.decision is not None and reading.decision.better == "lower"
        # A setting that left the race early has a score on few questions; those that stayed longest are compared.
        most = max(trial.n for trial in outcome.trials)
        finalists = [trial for trial in outcome.trials if trial.n == most]
        best = (min if lower else max)(finalists, key=lambda trial: trial.score)
        return DevScore(best.score, best.n)
    return None


def pairs_by_weight(reading: Reading) -> tuple[list[Pair], list[Pair]]:
    """The pairs that the winner is in, and all others."""
    decision = reading.decision
    if decision is None:
        return [], []
    with_winner = [p for p in decision.pairs if decision.winner in {p.candidate, p.other}]
    return with_winner, [p for p in decision.pairs if p not in with_winner]
