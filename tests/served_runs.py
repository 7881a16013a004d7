"""Finished runs with several candidates, for what is done with them afterwards."""

from __future__ import annotations

from pathlib import Path

from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.durable import write_json
from rung.core.model import ModelRef
from rung.store.records import Decision, Text
from rung.store.runs import RunFolder


def make_run(path: Path, *instructions: str) -> tuple[Path, list[str]]:
    """A finished run with a candidate for every instruction; the first one has won."""
    run = RunFolder(path)
    names = []
    for instruction in instructions:
        candidate = Candidate(
            method="prompt",
            model=ModelRef(kind="fake", id="m"),
            prompt=PromptSlot(instruction=instruction, fields=("question",)),
            output=OutputSlot(),
        )
        write_json(
            run.candidate_folder(candidate.id) / "candidate.json", {"id": candidate.id, **candidate.model_dump()}
        )
        names.append(candidate.id)
    run.write_run({"id": path.name, "created": "2026-01-01T00:00:00Z"})
    decision = Decision(
        mode="compare", verdict="winner", winner=names[0], metric="accuracy", margin=0.02, draws=1, seed=0, n=1, groups=1,
        standings=(), reason=Text(en="", zh=""),
    )  # fmt: skip
    run.write_decision(decision)
    return path, names
