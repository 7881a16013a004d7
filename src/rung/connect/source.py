"""What a connector reads from: an index, or a candidate of a finished run. Both are opened when they are first needed."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rung.connect.bases import Base, is_base
from rung.core.answer import Hit, Opened, Retriever, Where, complete, create_encoder, finish, open_candidate, prepare
from rung.core.candidate import Candidate, RetrieverSlot
from rung.core.errors import UsageError
from rung.core.evaluation import Answer
from rung.core.model import Encoder
from rung.core.registry import create
from rung.core.task import Example, Passage
from rung.store.runs import RunFolder

Labels = Collection[str] | None
"""The access labels of a caller, who sees what carries one of them or none at all; None lifts the limit."""
OPEN: frozenset[str] = frozenset()
"""The labels of a caller who may see only what is open to all."""
_K = 5
"""Passages where neither the caller nor a candidate says how many."""


@dataclass(frozen=True)
class Asked:
    """An answer, and the passages that the model was shown."""

    answer: Answer
    passages: tuple[Passage, ...]

    @property
    def cited(self) -> tuple[Passage, ...]:
        """Those that the answer goes back to, in its order."""
        shown = {passage.id: passage for passage in self.passages}
        return tuple(shown[id] for id in self.answer.citations)


class Source:
    """Passages, and with a run answers too. Searches may come from several threads; answers are given one at a time."""

    def __init__(self, path: str | Path, *, candidate: str | None = None, encoder: str | None = None) -> None:
        """`path`: a run folder, a folder of runs (the newest), an index folder, or `postgres:NAME`.

        `candidate`: another one than the winner of the run. `encoder`: `folder:PATH`, where one of your own made the index; a run
        knows its own. Raises UsageError E2770 where there is nothing of the kind,
        E1302 for an unknown candidate, E1307 for a run without a winner.
        """
        self.path = str(path)
        self.run: RunFolder | None = None
        self.candidate: Candidate | None = None
        self._lock = threading.RLock()
        self._named = encoder
        if is_base(self.path):
            return
        try:
            self.run = RunFolder.existing(Path(path))
        except UsageError as error:
            raise UsageError("E2770", path=self.path) from error
        self._name = candidate or _winner(self.run)
        self.candidate = self.run.read_candidate(self._name)

    @property
    def has_passages(self) -> bool:
        return self.candidate is None or self.candidate.retriever is not None

    def search(
        self,
        question: str,
        *,
        k: int | None = None,
        mode: str | None = None,
        seen_by: Labels = OPEN,
        where: Where | None = None,
    ) -> list[Hit]:
        """The k best passages for a question, best first.

        `k` and `mode` (rrf | lexical | dense) are the candidate's where they are not given; `where` narrows by metadata. Raises UsageError E2771 where
        the candidate reads no documents.
        """
        if self.candidate is None:
            with self._lock:
                base = self._base
            retriever, usual, many = base.retriever, base.mode, _K
        else:
            with self._lock:
                retriever = self._index
            recipe = self._slot.recipe
            usual, many = recipe.fusion, recipe.k
        labels = _frozen(seen_by)
        return retriever.search([question], many if k is None else k, mode=mode or usual, seen_by=labels, where=where)[
            0
        ]

    def ask(self, question: str | Mapping[str, str], *, seen_by: Labels = OPEN) -> Asked:
        """The candidate's answer, from passages that the caller may see.

        Raises UsageError E2772 where there is no run, E1308 where the question lacks input fields.
        """
        if self.candidate is None:
            raise UsageError("E2772", path=self.path)
        fields = self.candidate.prompt.fields
        inputs = {fields[0]: question} if isinstance(question, str) else dict(question)
        if missing := [name for name in fields if name not in inputs]:
            raise UsageError("E1308", fields=", ".join(missing))
        with self._lock:
            example = Example("asked", inputs, ())
            (request,) = prepare(self._opened, [example], seen_by=_frozen(seen_by))
            (completion,) = complete(self._opened, [request])
            return Asked(finish(self._opened, example, request, completion), request.passages)

    @cached_property
    def _base(self) -> Base:
        return Base(self.path, self._named)

    @property
    def _slot(self) -> RetrieverSlot:
        if self.candidate is None or self.candidate.retriever is None:
            raise UsageError("E2771", candidate=self._name)
        return self.candidate.retriever

    @cached_property
    def _index(self) -> Retriever:
        assert self.run is not None
        folder = self.run.indexes / self._slot.index.split("@")[0]
        found: Retriever = create("retriever", self._slot.recipe.kind, folder=folder, encoder=self._encoder)
        return found

    @cached_property
    def _opened(self) -> Opened:
        assert self.run is not None
        assert self.candidate is not None
        folder = self.run.candidate_folder(self._name)
        return open_candidate(self.candidate, folder, self.run.indexes, encoder=self._encoder)

    @cached_property
    def _encoder(self) -> Encoder | None:
        assert self.run is not None
        slot = self.candidate.retriever if self.candidate else None
        if slot is None or not slot.recipe.encoder:
            return None
        return create_encoder(slot.recipe.encoder, self.run.candidate_folder(self._name))


def facts(hit: Hit) -> dict[str, Any]:
    """What a framework is told of a passage besides its text: the metadata of its document, and where it stands."""
    payload = hit.item.payload
    own = {name: payload[name] for name in ("document", "title", "start", "end") if name in payload}
    return {**payload.get("metadata", {}), "id": hit.item.id, **own, "score": hit.score}


def _frozen(labels: Labels) -> frozenset[str] | None:
    return None if labels is None else frozenset([labels] if isinstance(labels, str) else labels)


def _winner(run: RunFolder) -> str:
    decision = run.read_decision()
    if decision is None or not decision.winner:
        raise UsageError("E1307", run=run.path, known=", ".join(run.candidates()))
    return decision.winner
