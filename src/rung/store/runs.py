"""The run folder: where everything of a run lies, and how it is read and written.

runs/<id>/  run.yaml  examples.jsonl  splits.json  plan.json  cells/<cell>.json  candidates/<id>/candidate.json  indexes/<hash>/
            evaluations/<candidate>.<split>.{jsonl,json}  test_openings.jsonl  decision.json  costs.json
            report.{html,md,json}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from rung.core.append_log import read_log
from rung.core.candidate import Candidate
from rung.core.durable import write_json, write_text
from rung.core.errors import DataError, UsageError
from rung.core.evaluation import Answer, Evaluation, EvaluationHeader, Resources, Row, Score, Summary
from rung.core.model import Failure
from rung.core.task import Example, Frozen, Turn
from rung.store.aftermath import Aftermath
from rung.store.attack import Attack
from rung.store.costs import Costs
from rung.store.diagnosis import Diagnosis, Stability
from rung.store.knowledge import Ceilings, Health
from rung.store.records import Cell, Decision, Opening, Outcome, Plan

R = TypeVar("R", bound=Frozen)


class RunFolder:
    """Paths and records of one run. Reading a record that is not there yet returns None."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """An existing run, or the newest run under a folder of runs. Raises UsageError E1301."""
        for folder in (path, path / "runs"):
            if (folder / "run.yaml").is_file():
                return cls(folder)
            found = [p.parent for p in folder.glob("*/run.yaml")] if folder.is_dir() else []
            if found:
                return cls(max(found, key=lambda p: (p / "run.yaml").stat().st_mtime))
        raise UsageError("E1301", path=path)

    @property
    def indexes(self) -> Path:
        return self.path / "indexes"

    @property
    def openings_path(self) -> Path:
        return self.path / "test_openings.jsonl"

    def candidate_folder(self, candidate: str) -> Path:
        return self.path / "candidates" / candidate

    def working_folder(self, cell: Cell) -> Path:
        """Where a method works before its candidate has a name; kept until the candidate is complete."""
        return self.path / "candidates" / f".{cell.name}"

    def read_run(self) -> dict[str, Any]:
        path = self.path / "run.yaml"
        with reading(path):
            found = yaml.safe_load(path.read_text("utf-8"))
            if not isinstance(found, dict):
                raise ValueError("it holds no record")
        return found

    def write_run(self, record: dict[str, Any]) -> None:
        write_text(self.path / "run.yaml", yaml.safe_dump(record, allow_unicode=True, sort_keys=False))

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        if not path.is_file():
            return None
        with reading(path):
            found = json.loads(path.read_text("utf-8"))
            if not isinstance(found, dict):
                raise ValueError("it holds no record")
        return found

    def _record(self, name: str, kind: type[R]) -> R | None:
        found = self._read(name)
        if found is None:
            return None
        with reading(self.path / name):
            return kind.model_validate(found)

    def read_examples(self, split: str = "") -> list[Example]:
        """The questions that lie beside the answers; those of one split, where one is named."""
        path = self.path / "examples.jsonl"
        with reading(path):
            return [example_from(line) for line in read_log(path) if not split or line["split"] == split]

    def write_examples(self, parts: Mapping[str, Sequence[Example]]) -> None:
        """Keep every question, by split."""
        lines = [example_record(example, split) for split, part in parts.items() for example in part]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(self.path / "examples.jsonl", text)

    def read_splits(self) -> dict[str, Any] | None:
        return self._read("splits.json")

    def write_splits(self, record: dict[str, Any]) -> None:
        write_json(self.path / "splits.json", record)

    def read_plan(self) -> Plan | None:
        return self._record("plan.json", Plan)

    def write_plan(self, plan: Plan) -> None:
        write_json(self.path / "plan.json", plan.model_dump(mode="json"))

    def read_outcome(self, cell: Cell) -> Outcome | None:
        # Under its plain name a file may be that of another model, whose name differs in a slash.
        found = (self._record(f"cells/{name}.json", Outcome) for name in (cell.name, cell.plain_name))
        return next((outcome for outcome in found if outcome and outcome.cell.model == cell.model), None)

    def write_outcome(self, outcome: Outcome) -> None:
        write_json(self.path / "cells" / f"{outcome.cell.name}.json", outcome.model_dump(mode="json"))

    def outcomes(self) -> list[Outcome]:
        """What became of every cell of the plan so far, in the plan's order."""
        plan = self.read_plan()
        return [found for cell in (plan.cells if plan else ()) if (found := self.read_outcome(cell))]

    def read_candidate(self, candidate: str) -> Candidate:
        found = self._read(f"candidates/{candidate}/candidate.json")
        if found is None:
            raise UsageError("E1302", candidate=candidate, known=", ".join(self.candidates()), path=self.path)
        found.pop("id", None)
        with reading(self.path / "candidates" / candidate / "candidate.json"):
            return Candidate.model_validate(found)

    def candidates(self) -> list[str]:
        return sorted(p.parent.name for p in self.path.glob("candidates/*/candidate.json") if p.parent.name[0] != ".")

    def read_decision(self) -> Decision | None:
        return self._record("decision.json", Decision)

    def write_decision(self, decision: Decision) -> None:
        write_json(self.path / "decision.json", decision.model_dump(mode="json"))

    def read_costs(self) -> Costs | None:
        return self._record("costs.json", Costs)

    def write_costs(self, costs: Costs) -> None:
        write_json(self.path / "costs.json", costs.model_dump(mode="json"))

    def read_diagnosis(self) -> Diagnosis | None:
        return self._record("diagnosis.json", Diagnosis)

    def write_diagnosis(self, diagnosis: Diagnosis) -> None:
        write_json(self.path / "diagnosis.json", diagnosis.model_dump(mode="json"))

    def read_stability(self, candidate: str = "") -> Stability | None:
        """The measurement that was asked for last; with a candidate, the short one that its constraint is checked with."""
        return self._record(f"stability/{candidate}.json" if candidate else "stability.json", Stability)

    def write_stability(self, stability: Stability) -> None:
        name = f"stability/{stability.candidate}.json" if stability.light else "stability.json"
        write_json(self.path / name, stability.model_dump(mode="json"))

    def read_aftermath(self, candidate: str) -> Aftermath | None:
        """What tuning did to a candidate besides the task."""
        return self._record(f"aftermath/{candidate}.json", Aftermath)

    def write_aftermath(self, aftermath: Aftermath) -> None:
        write_json(self.path / "aftermath" / f"{aftermath.candidate}.json", aftermath.model_dump(mode="json"))

    def aftermath_answers(self, candidate: str) -> Path:
        """The folder of the answers behind it."""
        return self.path / "aftermath" / f"{candidate}.answers"

    def read_ceilings(self) -> Ceilings | None:
        """How far retrieval and reading reach, for every candidate that reads documents."""
        return self._record("ceilings.json", Ceilings)

    def write_ceilings(self, ceilings: Ceilings) -> None:
        write_json(self.path / "ceilings.json", ceilings.model_dump(mode="json"))

    def read_health(self) -> Health | None:
        """The state of the documents."""
        return self._record("health.json", Health)

    def write_health(self, health: Health) -> None:
        write_json(self.path / "health.json", health.model_dump(mode="json"))

    def read_attack(self, candidate: str, *, light: bool = False) -> Attack | None:
        """How far poisoned documents steer a candidate; `light`: the short form that its limit is checked with."""
        return self._record(f"attacks/{candidate}{'.light' if light else ''}.json", Attack)

    def write_attack(self, attack: Attack) -> None:
        name = f"{attack.candidate}{'.light' if attack.light else ''}.json"
        write_json(self.path / "attacks" / name, attack.model_dump(mode="json"))

    def openings(self) -> list[Opening]:
        with reading(self.openings_path):
            return [Opening.model_validate(line) for line in read_log(self.openings_path)]

    def evaluation_path(self, candidate: str, split: str) -> Path:
        return self.path / "evaluations" / f"{candidate}.{split}.jsonl"

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """The summary goes last: an evaluation without one is not finished."""
        header = evaluation.header
        path = self.evaluation_path(header.candidate, header.split)
        write_text(path, "".join(json.dumps(row_record(row), ensure_ascii=False) + "\n" for row in evaluation.rows))
        write_json(
            path.with_suffix(".json"),
            {
                "header": header.model_dump(mode="json"),
                "summaries": {name: s.model_dump(mode="json") for name, s in evaluation.summaries.items()},
                "resources": evaluation.resources.model_dump(mode="json"),
                "extra": dict(evaluation.extra),
            },
        )

    def read_evaluation(self, candidate: str, split: str) -> Evaluation | None:
        path = self.evaluation_path(candidate, split)
        summary = self._read(f"evaluations/{path.stem}.json")
        if summary is None:
            return None
        with reading(path):
            rows = tuple(row_from(line) for line in read_log(path))
        with reading(path.with_suffix(".json")):
            evaluation = Evaluation(
                header=EvaluationHeader.model_validate(summary["header"]),
                rows=rows,
                summaries={name: Summary.model_validate(s) for name, s in summary["summaries"].items()},
                resources=Resources.model_validate(summary["resources"]),
                extra=summary.get("extra", {}),
            )
        if len(rows) != evaluation.header.n:
            reason = f"{len(rows)} rows where its summary says {evaluation.header.n}"
            raise DataError("E2901", path=path, reason=reason)
        return evaluation


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file or record does to its reader into DataError E2901, which names the file."""
    try:
        yield
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}"
        raise DataError("E2901", path=path, reason=reason) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        first = str(error).splitlines()[0] if str(error) else ""
        raise DataError("E2901", path=path, reason=f"{type(error).__name__}: {first}") from error


def example_record(example: Example, split: str) -> dict[str, Any]:
    """An example as it lies in `examples.jsonl`."""
    record: dict[str, Any] = {
        "id": example.id,
        "split": split,
        "inputs": dict(example.inputs),
        "references": list(example.references),
        "group": example.group,
        "documents": list(example.documents),
    }
    if example.rejected:
        record["rejected"] = list(example.rejected)
    if example.liked is not None:
        record["liked"] = example.liked
    if example.history:
        record["history"] = [asdict(turn) for turn in example.history]
    return record


def example_from(record: dict[str, Any]) -> Example:
    """An example of `examples.jsonl`."""
    return Example(
        id=record["id"],
        inputs={name: str(text) for name, text in record["inputs"].items()},
        references=tuple(map(str, record["references"])),
        group=record.get("group") or "",
        documents=tuple(record.get("documents") or ()),
        rejected=tuple(map(str, record.get("rejected") or ())),
        liked=record.get("liked"),
        history=tuple(Turn(turn["role"], str(turn["text"])) for turn in record.get("history") or ()),
    )


def row_record(row: Row) -> dict[str, Any]:
    """A row as it lies in an evaluation file."""
    answer = {
        k: v for k, v in asdict(row.answer).items() if v not in (None, "", (), 0.0, 0) or k in {"example", "text"}
    }
    scores = {name: {"status": s.status, "value": s.value, "parts": dict(s.parts)} for name, s in row.scores.items()}
    return {"answer": answer, "scores": scores, "group": row.group}


def row_from(record: dict[str, Any]) -> Row:
    """A row of an evaluation file."""
    answer = dict(record["answer"])
    if answer.get("failure"):
        answer["failure"] = Failure(**answer["failure"])
    for name in ("citations", "passages", "shots", "notes", "unsupported_quotes", "unsupported_citations"):
        answer[name] = tuple(answer.get(name, ()))
    scores = {name: Score(**score) for name, score in record["scores"].items()}
    return Row(Answer(**answer), scores, record.get("group", ""))
