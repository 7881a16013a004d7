"""Everything that a report needs, read from a run folder once; a record that is not there yet is simply missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rung.core.candidate import Candidate
from rung.core.errors import DataError
from rung.core.evaluation import Evaluation
from rung.core.task import Example, Task
from rung.store.atomic import read_log
from rung.store.records import Decision, Opening, Outcome, Plan
from rung.store.runs import RunFolder


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

    @property
    def currency(self) -> str:
        return self.decision.currency if self.decision else str(self.record.get("currency", "USD"))

    @property
    def metric(self) -> str:
        return self.decision.metric if self.decision else self.task.metric


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn a record that does not parse into DataError: E2950 damaged, E2951 not in this version's form."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError("E2951", path=path, reason=f"{place}: {first['msg']}") from error
    except (yaml.YAMLError, OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError("E2950", path=path, reason=reason) from error


def read_run(run: RunFolder) -> Reading:
    """Read a run folder. Raises DataError E2901, E2950 or E2951 for a record that is there and cannot be read."""
    folder = run.path
    with reading(folder / "run.yaml"):
        record = run.read_run()
        task = Task.model_validate(record["task"])
    with reading(folder / "plan.json"):
        plan = run.read_plan()
    with reading(folder / "cells"):
        outcomes = tuple(run.outcomes())
    with reading(folder / "decision.json"):
        decision = run.read_decision()
    with reading(folder / "candidates"):
        candidates = {name: run.read_candidate(name) for name in run.candidates()}
    with reading(folder / "evaluations"):
        names = _evaluated(folder)
        tests = {name: found for name in names if (found := run.read_evaluation(name, "test"))}
        devs = {name: found for name in names if (found := run.read_evaluation(name, "dev"))}
    with reading(folder / "examples.jsonl"):
        examples = {line["id"]: example_from(line) for line in read_log(folder / "examples.jsonl")}
    with reading(run.openings_path):
        openings = tuple(run.openings())
    return Reading(run, record, task, plan, outcomes, candidates, decision, tests, devs, examples, openings)


def _evaluated(folder: Path) -> list[str]:
    """Candidates with an evaluation of any split; a candidate's own folder may be gone, its answers are not."""
    return sorted({path.stem.rsplit(".", 1)[0] for path in folder.glob("evaluations/*.json")})


def example_from(line: Mapping[str, Any]) -> Example:
    """One line of `examples.jsonl`."""
    return Example(
        id=line["id"],
        inputs={name: str(text) for name, text in line["inputs"].items()},
        references=tuple(str(reference) for reference in line["references"]),
        group=line.get("group") or "",
        documents=tuple(line.get("documents") or ()),
    )
