"""Which candidate of a run is exported, and what its folder and the run know about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.candidate import AdapterSlot, Candidate
from rung.core.errors import UsageError
from rung.store.records import Outcome
from rung.store.runs import RunFolder

SOFT = ("soft", "prefix")
"""Kinds of adapters that are inputs of the model, and no change of its weights."""


@dataclass(frozen=True)
class Subject:
    """A tuned candidate, with the run that made it."""

    run: RunFolder
    id: str
    candidate: Candidate
    outcome: Outcome | None

    @property
    def folder(self) -> Path:
        return self.run.candidate_folder(self.id)

    @property
    def slot(self) -> AdapterSlot:
        slot = self.candidate.adapter
        assert slot is not None
        return slot

    @property
    def adapter(self) -> Path:
        """Where the trained weights lie."""
        return self.folder / self.slot.path

    @property
    def adapter_config(self) -> dict[str, Any]:
        """PEFT's record of the adapter; {} for a whole set of weights."""
        return _read(self.adapter / "adapter_config.json")

    @property
    def settings(self) -> dict[str, Any]:
        """Hyper-parameters of the training, by the names of task.yaml; as far as the run kept them."""
        job = _read(self.folder / "training" / "job.json").get("settings")
        if isinstance(job, dict):
            return job
        found = (self.outcome.notes if self.outcome else {}).get("training")
        return found if isinstance(found, dict) else {}

    @property
    def result(self) -> dict[str, Any]:
        """What the training came to: steps, dev score, seconds."""
        found = (self.outcome.notes if self.outcome else {}).get("training")
        return found if isinstance(found, dict) else {}


def find_subject(run: RunFolder, candidate: str | None = None) -> Subject:
    """The candidate of that id; without one the run's winner where it is tuned, else the only tuned candidate.

    Raises UsageError E1302 for an unknown id, E6200 where nothing is tuned, E6201 where several are, E6208 for a backend
    without weights of its own.
    """
    tuned = {name: found for name in run.candidates() if (found := run.read_candidate(name)).adapter is not None}
    if candidate is None:
        decision = run.read_decision()
        winner = decision.winner if decision else None
        if winner in tuned:
            candidate = winner
        elif len(tuned) == 1:
            candidate = next(iter(tuned))
        elif not tuned:
            raise UsageError("E6200", path=run.path, known=", ".join(run.candidates()) or "-")
        else:
            raise UsageError("E6201", path=run.path, known=", ".join(tuned))
    found = run.read_candidate(candidate)
    if found.adapter is None:
        raise UsageError("E6200", path=run.path / "candidates" / candidate, known=", ".join(tuned) or "-")
    if found.model.kind != "transformers":
        raise UsageError("E6208", kind=found.model.kind)
    outcome = next((outcome for outcome in run.outcomes() if outcome.candidate == candidate), None)
    return Subject(run, candidate, found, outcome)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
