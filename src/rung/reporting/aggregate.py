"""The report as one JSON object, for programs: `report.json` and `rung show --json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rung.reporting.ladder import Ladder, Line, build_ladder
from rung.reporting.marks import side_by_side
from rung.reporting.mistakes import group_mistakes
from rung.reporting.reading import Reading
from rung.reporting.words import Words

SCHEMA = 1


def aggregate(reading: Reading) -> dict[str, Any]:
    """Verdict, standings, pairs, every cell of the plan, and counts of mistakes; numbers as recorded, never rounded.

    `verdict` is None while the run has none.
    """
    ladder = build_ladder(reading, Words("en"))
    decision, record = reading.decision, reading.record
    decided = decision.model_dump(mode="json") if decision else {}
    return {
        "schema_version": SCHEMA,
        "run": {key: record.get(key) for key in ("id", "name", "created", "command", "seed")},
        "task": {
            "name": reading.task.name,
            "language": reading.task.language,
            "metric": ladder.metric,
            "better": ladder.better,
            "target": reading.task.target,
            "margin": reading.task.margin,
            "hash": reading.task.hash,
        },
        "verdict": decided.get("verdict"),
        "winner": decided.get("winner"),
        "ties": decided.get("ties", []),
        "reason": decided.get("reason"),
        "would_change": decided.get("would_change", []),
        "test": {
            key: decided.get(key)
            for key in ("n", "groups", "confidence", "resolvable", "examples_needed", "draws", "seed")
        },
        "currency": reading.currency,
        "standings": decided.get("standings", []),
        "pairs": decided.get("pairs", []),
        "comparison": reading.comparison.model_dump(mode="json") if reading.comparison else None,
        "dimensions": [table.model_dump(mode="json") for table in reading.dimensions],
        "costs": reading.costs.model_dump(mode="json") if reading.costs else None,
        "cells": [_cell(line) for line in ladder.lines],
        "answers": _answers(reading, ladder),
        "mistakes": _mistakes(reading, ladder),
        "diagnosis": reading.diagnosis.model_dump(mode="json") if reading.diagnosis else None,
        "stability": reading.stability.model_dump(mode="json") if reading.stability else None,
        "aftermaths": [found.model_dump(mode="json") for found in reading.aftermaths],
        "ceilings": reading.ceilings.model_dump(mode="json") if reading.ceilings else None,
        "health": reading.health.model_dump(mode="json") if reading.health else None,
        "attacks": [found.model_dump(mode="json") for found in reading.attacks],
        "openings": [opening.model_dump(mode="json") for opening in reading.openings],
        "splits": dict(reading.plan.splits) if reading.plan else {},
        "data": record.get("data") or {},
        "versions": record.get("versions") or {},
        "machine": record.get("machine") or {},
        "wall_seconds": record.get("wall_seconds"),
        "peak_memory_gib": record.get("peak_memory_gib"),
    }


def _cell(line: Line) -> dict[str, Any]:
    evaluation, outcome = line.evaluation, line.outcome
    return {
        "method": line.cell.method,
        "model": line.cell.model,
        "rank": line.cell.rank,
        "state": line.state,
        "reasons": list(line.reasons),
        "candidate": line.candidate or None,
        "converged": line.converged,
        "quality": line.quality.model_dump(mode="json"),
        "dev": asdict(line.dev) if line.dev else None,
        "metrics": {name: s.model_dump(mode="json") for name, s in evaluation.summaries.items()} if evaluation else {},
        "without_copies": evaluation.extra.get("without_copies") if evaluation else None,
        "resources": evaluation.resources.model_dump(mode="json") if evaluation else None,
        "spent": outcome.spent.model_dump(mode="json") if outcome else None,
        "trials": [trial.model_dump(mode="json") for trial in outcome.trials] if outcome else [],
    }


def _answers(reading: Reading, ladder: Ladder) -> dict[str, Any] | None:
    sides = side_by_side(reading, ladder)
    if sides is None:
        return None
    return {
        "before": sides.before.candidate,
        "after": sides.after.candidate,
        "counts": dict(sides.counts),
        "shown": [{"example": question.example.id, "kind": question.kind} for question in sides.questions],
    }


def _mistakes(reading: Reading, ladder: Ladder) -> dict[str, Any] | None:
    found = group_mistakes(reading, ladder)
    if found is None:
        return None
    names = [line.candidate for line in found.columns]
    return {
        "wrong": dict(zip(names, found.wrong, strict=True)),
        "scored": dict(zip(names, found.scored, strict=True)),
        "kinds": {row.kind: dict(zip(names, row.counts, strict=True)) for row in found.kinds},
        "failures": {row.kind: dict(zip(names, row.counts, strict=True)) for row in found.failures},
        "labels": [asdict(row) for row in found.labels],
        "groups": [asdict(row) for row in found.groups],
    }
