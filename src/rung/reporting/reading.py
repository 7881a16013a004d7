"""Everything that a report needs, read from a run folder once; a record that is not there yet is simply missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.candidate import Candidate
from rung.core.evaluation import Evaluation
from rung.core.task import Example, Task
from rung.store.aftermath import Aftermath
from rung.store.attack import Attack
from rung.store.comparison import Comparison, read_comparison
from rung.store.costs import Costs
from rung.store.diagnosis import Diagnosis, Stability
from rung.store.judging import DimensionTable, read_tables_of
from rung.store.knowledge import Ceilings, Health
from rung.store.records import Decision, Opening, Outcome, Plan
from rung.store.runs import RunFolder, reading


@dataclass(frozen=True)
class Reading:
    """A run as it lies on disk, finished or not."""

    run: RunFolder
    record: Mapping[str, Any]
    """`run.yaml`."""
    task: Task
    plan: Plan | None
    outcomes: tuple[Outcome, ...]
    candidates: Mapping[str, Candidate]
    decision: Decision | None
    tests: Mapping[str, Evaluation]
    """Evaluations on test, by candidate."""
    devs: Mapping[str, Evaluation]
    examples: Mapping[str, Example]
    """Every example that `examples.jsonl` holds, by id."""
    openings: tuple[Opening, ...]
    costs: Costs | None = None
    """`costs.json`; a run made before there was one has none."""
    diagnosis: Diagnosis | None = None
    stability: Stability | None = None
    """What was asked for last, else the short measurement of the winner, where the verdict had a limit on it."""
    aftermaths: tuple[Aftermath, ...] = ()
    """What tuning cost, for every candidate where it was measured; the winner first."""
    ceilings: Ceilings | None = None
    """How far retrieval and reading reach."""
    health: Health | None = None
    """The state of the documents."""
    attacks: tuple[Attack, ...] = ()
    """Poisoned documents tried on candidates; the winner's first, the long form in place of the short one."""
    dimensions: tuple[DimensionTable, ...] = ()
    """Marks before and after, where people or a licensed judge gave some."""
    comparison: Comparison | None = None
    """Tests of all pairs and the gate, where this is a run of `rung compare`."""

    @property
    def currency(self) -> str:
        return self.decision.currency if self.decision else str(self.record.get("currency", "USD"))

    @property
    def aftermath_missing(self) -> bool:
        """Whether the winner was tuned, and nobody has measured what that cost."""
        name = (self.decision.winner if self.decision else None) or ""
        winner = self.candidates.get(name)
        return winner is not None and winner.adapter is not None and name not in {a.candidate for a in self.aftermaths}

    @property
    def metric(self) -> str:
        return self.decision.metric if self.decision else self.task.metric


def read_run(run: RunFolder) -> Reading:
    """Read a run folder. Raises DataError E2901 for a record that is there and cannot be read."""
    folder = run.path
    record = run.read_run()
    with reading(folder / "run.yaml"):
        task = Task.model_validate(record["task"])
    names = _evaluated(folder)
    tests = {name: found for name in names if (found := run.read_evaluation(name, "test"))}
    devs = {name: found for name in names if (found := run.read_evaluation(name, "dev"))}
    decision = run.read_decision()
    winner = decision.winner if decision else None
    return Reading(
        run=run,
        record=record,
        task=task,
        plan=run.read_plan(),
        outcomes=tuple(run.outcomes()),
        candidates={name: run.read_candidate(name) for name in run.candidates()},
        decision=decision,
        tests=tests,
        devs=devs,
        examples={example.id: example for example in run.read_examples()},
        openings=tuple(run.openings()),
        costs=run.read_costs(),
        diagnosis=run.read_diagnosis(),
        stability=run.read_stability() or (run.read_stability(winner) if winner else None),
        aftermaths=tuple(_aftermaths(run, winner)),
        ceilings=run.read_ceilings(),
        health=run.read_health(),
        attacks=tuple(_attacks(run, winner)),
        dimensions=read_tables_of(folder),
        comparison=read_comparison(folder),
    )


def _aftermaths(run: RunFolder, winner: str | None) -> list[Aftermath]:
    names = sorted((path.stem for path in run.path.glob("aftermath/*.json")), key=lambda name: (name != winner, name))
    return [found for name in names if (found := run.read_aftermath(name)) is not None]


def _attacks(run: RunFolder, winner: str | None) -> list[Attack]:
    names = sorted({path.stem.removesuffix(".light") for path in run.path.glob("attacks/*.json")})
    found = [run.read_attack(name) or run.read_attack(name, light=True) for name in names]
    return sorted((one for one in found if one is not None), key=lambda one: one.candidate != winner)


def _evaluated(folder: Path) -> list[str]:
    """Candidates with an evaluation of any split; a candidate's own folder may be gone, its answers are not."""
    return sorted({path.stem.rsplit(".", 1)[0] for path in folder.glob("evaluations/*.json")})
