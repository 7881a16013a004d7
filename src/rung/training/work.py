"""What a trainer is handed inside the training process, and the trainers by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rung.core.candidate import Candidate
from rung.core.errors import DataError
from rung.core.model import ModelRef, TrainingParts
from rung.core.task import Task
from rung.training.batches import TokenRow
from rung.training.killed import ceiling_of
from rung.training.progress import Progress, TrainingResult
from rung.training.room import Ceiling, Room, look_around
from rung.training.row_tokens import RowTokens, Scoring
from rung.training.rows import TrainingRow
from rung.training.settings import TrainSettings

Kind = Literal["targets", "documents", "preference", "reinforce"]


@dataclass(frozen=True)
class Job:
    """What a training process is told."""

    model: ModelRef
    candidate: Candidate
    task: Task
    settings: TrainSettings
    kind: Kind = "targets"
    """targets: learn the rows' answers; documents: learn plain text; preference: pairs; reinforce: reward by the task's metric."""
    start: str = ""
    """Folder of an earlier training's weights, which are trained further; '' to begin anew."""
    processes: int = 1
    """Training processes that share every batch."""

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model.model_dump(mode="json"),
            "candidate": self.candidate.model_dump(mode="json"),
            "task": self.task.model_dump(mode="json"),
            "settings": asdict(self.settings),
            "kind": self.kind,
            "start": self.start,
            "processes": self.processes,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Job:
        return cls(
            ModelRef.model_validate(record["model"]),
            Candidate.model_validate(record["candidate"]),
            Task.model_validate(record["task"]),
            TrainSettings(**record["settings"]),
            record["kind"],
            record["start"],
            record["processes"],
        )

    @classmethod
    def read(cls, folder: Path) -> Job:
        return cls.from_json(json.loads((folder / "job.json").read_text("utf-8")))


@dataclass(frozen=True)
class Work:
    """One training, inside its process."""

    folder: Path
    """The job's own: `checkpoints/` is the trainer's to write."""
    job: Job
    parts: TrainingParts
    rows: Sequence[TrainingRow]
    dev: Sequence[TrainingRow]
    score_dev: Callable[[Any], float]
    """The dev metric of a module as it now stands, adapter merged; higher is better."""
    report: Callable[[Progress, int], None]
    stopping: Callable[[], bool]

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def scoring(self) -> Scoring | None:
        """How dev is answered while training, as memory is planned by it; None without dev."""
        if not self.dev:
            return None
        prompts = [len(row.prompt) for row in self.encoded(self.dev)]
        encode = self.parts.extra.get("encode_text", lambda text: [])
        choices = {choice for row in self.dev for choice in row.request.choices}
        written = max((row.request.max_tokens for row in self.dev if not row.request.choices), default=0)
        tree = sum(len(encode(choice)) for choice in choices)
        return Scoring(len(self.dev), sum(prompts) / len(prompts), written, tree)

    def room(self, rows: RowTokens, *, shards: int = 1) -> Room | None:
        """The plan of this training on this machine; None for a model that does not tell its sizes. Raises WriteError E5010."""
        sizes, settings = self.parts.extra.get("sizes"), self.job.settings
        return None if sizes is None else look_around(sizes, settings, rows, self.scoring, self.folder, shards=shards)

    def ceiling(self, room: Room | None) -> Ceiling | None:
        """Fewer tokens at once than the settings say, where memory asks for it."""
        return ceiling_of(self.folder, self.job.settings.micro_tokens, room)

    @property
    def scoring_work(self) -> int:
        """What one scoring of dev takes, in tokens of training: a third of a step's work for a token read, more for one written."""
        read = sum(row.length for row in self.encoded(self.dev))
        written = sum(row.request.max_tokens for row in self.dev if not row.request.choices)
        return (read + 4 * written) // 3

    @property
    def longest(self) -> int:
        """Tokens that a row may have: what the settings say, and no more than the model reads."""
        context = int(self.parts.extra.get("context") or 0)
        return min(self.job.settings.max_length, context or self.job.settings.max_length)

    def encoded(self, rows: Sequence[TrainingRow]) -> list[TokenRow]:
        """Token rows; a blank target has no tokens, not even an end. Raises DataError E2803 where targets have no end token."""
        found = [TokenRow(*self.parts.encode(row.request, row.target if row.target.strip() else None)) for row in rows]
        end = self.parts.extra.get("end")
        if end is not None and any(row.target and row.target[-1] != end for row in found):
            raise DataError("E2803")
        return found


@dataclass(frozen=True)
class Done:
    """A trained module and what came of it. `result.stopped` is 'interrupted' where there is nothing to save yet."""

    module: Any
    result: TrainingResult
    state: dict[str, Any] | None = None
    """Whole tensors by name, where the module's own are cut over several processes."""


def trainer(kind: Kind) -> Callable[[Work], Done]:
    """The trainer of a kind of job."""
    if kind == "preference":
        from rung.training.preference import train_preference

        return train_preference
    if kind == "reinforce":
        from rung.training.reinforce import train_reinforce

        return train_reinforce
    from rung.training.supervised import train_documents, train_targets

    return train_documents if kind == "documents" else train_targets
