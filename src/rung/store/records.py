"""The records of a run folder, as they lie on disk: plan, adaptation, evaluation, decision."""

from __future__ import annotations

from typing import Any, Literal

from rung.core.errors import Problem, RungError, catalogue, in_words
from rung.core.hashing import hash_json
from rung.core.task import Frozen

SCHEMA = 1


class Spend(Frozen):
    """What something took or is expected to take."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    money: float = 0.0
    memory_gib: float = 0.0
    disk_gib: float = 0.0


class Stated(Frozen):
    """A mistake by its code, so that every reader gets it in words of their own language."""

    code: str
    where: str = ""
    values: dict[str, str] = {}

    @classmethod
    def of(cls, error: RungError) -> tuple[Stated, ...]:
        return tuple(
            cls(code=p.code, where=p.where, values={name: str(value) for name, value in p.values.items()})
            for p in error.problems
        )


class Cell(Frozen):
    """One rung on one model."""

    method: str
    model: str
    """Id of the model; '-' for a baseline without one."""
    rank: int
    blockers: tuple[str, ...] = ()
    estimate: Spend = Spend()
    warnings: tuple[Stated, ...] = ()
    """What a person should know before it starts: that memory may not do."""

    def hindrance(self, language: str = "en") -> str:
        """Every blocker in words."""
        return " ".join(in_words(blocker, language) for blocker in self.blockers)

    @property
    def name(self) -> str:
        """What its files are called. A model's name with a slash gets a hash behind it, so that `a/b` is not `a_b`."""
        name = f"{self.method}@{self.model}"
        return f"{self.plain_name}-{hash_json(name, 6)}" if "/" in name else name

    @property
    def plain_name(self) -> str:
        """What its files were called before names had a hash."""
        return f"{self.method}@{self.model}".replace("/", "_")


class Plan(Frozen):
    """The rungs that are to be run, and on how many questions. Kept as `plan.json`."""

    schema_version: int = SCHEMA
    mode: Literal["compare", "climb"]
    cells: tuple[Cell, ...]
    splits: dict[str, int]
    budget_seconds: float | None = None


class TrialRecord(Frozen):
    """One setting that a method tried on dev."""

    setting: dict[str, Any]
    score: float
    n: int
    seconds: float = 0.0
    failed: int = 0


class Outcome(Frozen):
    """What became of a cell: the candidate it made, or why there is none. Kept as `cells/<cell>.json`."""

    cell: Cell
    status: Literal["done", "blocked", "failed", "skipped"]
    candidate: str = ""
    reason: str = ""
    problems: tuple[Stated, ...] = ()
    """The mistakes behind a failure, where they are known by code; `reason` then says the same in English."""
    spent: Spend = Spend()
    trials: tuple[TrialRecord, ...] = ()
    notes: dict[str, Any] = {}
    """Set by the method: `converged` (false when the budget stopped it), `curve` [{step, loss, dev, seconds}], ..."""

    def why(self, language: str = "en") -> str:
        """Why there is no candidate, on one line; empty where there is nothing to say."""
        if not self.problems or any(stated.code not in catalogue() for stated in self.problems):
            return in_words(self.reason, language) if self.reason else self.cell.hindrance(language)
        problems = [Problem(stated.code, stated.where, dict(stated.values)) for stated in self.problems]
        return " ".join(line for line in RungError("", problems=problems).lines(language) if line)


class Interval(Frozen):
    """A number with both ends of its interval; None where it is not known."""

    point: float | None
    low: float | None = None
    high: float | None = None


class Check(Frozen):
    """One constraint, as measured."""

    name: str
    limit: float
    value: float | None
    ok: bool


class Standing(Frozen):
    """One candidate in the decision."""

    candidate: str
    method: str
    model: str
    quality: Interval
    """The deciding metric on test, with its 95 % interval."""
    dev: float | None = None
    scored: int
    failed: int
    unscored: int
    training_cost: float
    """One-off, in the currency of task.yaml."""
    cost_per_1000: float
    """The one cost number: training spread over the planned volume, plus serving, per 1,000 answers; upkeep too where priced."""
    latency_p50: float | None = None
    latency_p95: float | None = None
    checks: tuple[Check, ...] = ()
    meets_target: bool | None = None
    """Lower bound at or above the target; None without a target."""
    eligible: bool = True
    good_enough: bool = False
    """Not worse than any other by the margin or more, at 95 % simultaneous confidence."""
    converged: bool = True


class Pair(Frozen):
    """candidate - other, on the same questions."""

    candidate: str
    other: str
    difference: Interval
    """Simultaneous over all pairs."""
    p_value: float | None = None
    """Exact McNemar, where the metric is right or wrong; uncorrected."""


class Text(Frozen):
    """A sentence or paragraph in both languages."""

    en: str
    zh: str


class Decision(Frozen):
    """The verdict. `reason` is the paragraph that anyone understands."""

    schema_version: int = SCHEMA
    mode: Literal["compare", "climb"]
    verdict: Literal["winner", "tie", "unresolved", "target_not_met", "nothing_to_compare"]
    """winner: one candidate, better than every other or cheaper at no loss. tie: the best are within the margin of each other,
    and the cheapest that is shown to be so is named. unresolved: the test set is too small to say."""
    winner: str | None
    ties: tuple[str, ...] = ()
    """Candidates that the test cannot tell from the winner by more than the margin, the winner left out."""
    metric: str
    better: Literal["higher", "lower"] = "higher"
    target: float | None = None
    margin: float
    confidence: float = 0.95
    draws: int
    seed: int
    n: int
    groups: int
    currency: str = "USD"
    upkeep: bool = False
    """Whether task.yaml prices upkeep, which is then part of every cost number."""
    standings: tuple[Standing, ...]
    """Cheapest first."""
    pairs: tuple[Pair, ...] = ()
    reason: Text
    would_change: tuple[Text, ...] = ()
    examples_needed: int | None = None
    """Test examples that would settle an unresolved margin, as estimated from the spread seen."""
    resolvable: float | None = None
    """The smallest difference that this test set can resolve with 80 % power."""

    @property
    def alone(self) -> bool:
        """Whether the winner had nothing to be compared with; going up to a target needs nothing else."""
        return self.verdict == "winner" and self.mode == "compare" and len(self.standings) == 1


class Opening(Frozen):
    """One opening of the test split, appended to `test_openings.jsonl`."""

    time: str
    """UTC, ISO 8601."""
    candidate: str
    split_hash: str
    n: int
    answered: int
    """Examples answered in this opening; fewer than n when an interrupted evaluation goes on."""
