"""A candidate brought to where it can answer: its parts loaded, an engine before it, and what it calls itself."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rung.core.answer import Opened, create_encoder, open_candidate
from rung.core.candidate import Candidate
from rung.core.errors import UsageError
from rung.core.model import Encoder
from rung.core.streaming import Live
from rung.core.task import Example
from rung.serving.backend import Backend, behind
from rung.serving.engine import Engine
from rung.serving.live import LiveEngine
from rung.store.runs import RunFolder

USUAL_ENCODER = "minilm"
"""What embeds texts where the candidate has no encoder of its own."""


@dataclass(frozen=True)
class Hosted:
    """An opened candidate behind an engine."""

    run: str
    """Id of the run that it comes from."""
    opened: Opened
    engine: Engine
    dialogue: bool = False
    """Whether the task has turns before its question."""
    other_engine: str = ""
    """Where what answers is not what was evaluated: in words."""
    encoder: Encoder | None = None
    known_as: str = ""
    """Id of the candidate as it was evaluated, where it had to be changed for another engine."""

    @cached_property
    def name(self) -> str:
        """Id of the candidate, worked out once: every answer tells it."""
        return self.known_as or self.candidate.id

    @property
    def candidate(self) -> Candidate:
        return self.opened.candidate

    @property
    def index(self) -> str:
        """`name@version` of the documents as they are searched now."""
        passages = self.opened.passages
        return passages.id if passages is not None else ""

    def close(self, seconds: float = 5.0) -> bool:
        """Answer what waits and let the engine go; False where that took longer."""
        if not self.engine.close(seconds):
            return False
        frozen = gc.get_freeze_count()
        # The server does not look for rubbish in what was there when it began, and this was.
        gc.unfreeze()
        model, passages = self.opened.model, self.opened.passages
        for part, name in ((model, "close"), (model, "release"), (passages, "close")):
            let_go = getattr(part, name, None)
            if callable(let_go):
                let_go()
        if frozen:
            gc.freeze()
        return True


@dataclass(frozen=True)
class Room:
    """How much an engine takes at once."""

    waiting: int = 256
    batch: int = 16
    workers: int = 32
    """Questions at once before an endpoint, which batches by itself."""


ROOM = Room()


def host(
    run: Path,
    candidate: str = "",
    *,
    backend: Backend | None = None,
    room: Room = ROOM,
    encoder: Encoder | None = None,
) -> Hosted:
    """Open a run's winner, or another of its candidates. `encoder`: one that is loaded already and may be the one it needs.

    Raises UsageError E1307 where the run has no winner, E1302 for an unknown candidate, and what opening its parts raises.
    """
    folder = RunFolder.existing(run)
    chosen = folder.read_candidate(candidate or winner_of(folder))
    place = folder.candidate_folder(candidate or winner_of(folder))
    name = encoder_name(chosen)
    if name and (encoder is None or encoder.id.split("@")[0] != name):
        encoder = create_encoder(name, place)
    words = ""
    if backend is None:
        opened = open_candidate(chosen, place, folder.indexes, encoder=encoder)
    else:
        put = behind(chosen, backend)
        words = put.other_engine
        opened = open_candidate(put.candidate, place, folder.indexes, model=put.model, encoder=encoder)
    workers = room.workers if opened.model.ref.kind == "openai" else 1
    kind = LiveEngine if isinstance(opened.model, Live) and opened.model.joins() else Engine
    engine = kind(opened, waiting=room.waiting, batch=room.batch, workers=workers)
    dialogue = any(example.history for example in _questions(folder))
    return Hosted(folder.path.name, opened, engine, dialogue, words, encoder if name else None, chosen.id)


def winner_of(folder: RunFolder) -> str:
    """Raises UsageError E1307 where the run has named none."""
    decision = folder.read_decision()
    if decision is None or not decision.winner:
        raise UsageError("E1307", run=folder.path, known=", ".join(folder.candidates()))
    return decision.winner


def encoder_name(candidate: Candidate) -> str:
    """The encoder that a candidate searches with; '' for none."""
    if candidate.retriever is not None and candidate.retriever.recipe.encoder:
        return candidate.retriever.recipe.encoder
    return candidate.shots.encoder if candidate.shots is not None else ""


def _questions(folder: RunFolder) -> list[Example]:
    return folder.read_examples() if (folder.path / "examples.jsonl").is_file() else []
