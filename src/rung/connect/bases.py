"""Indexes opened by themselves, without a run: a folder or `postgres:NAME`, each with the encoder that made it."""

from __future__ import annotations

import threading
from pathlib import Path

from rung.core.answer import Retriever, create_encoder
from rung.retrieval.homes import current_of, encoder_name, home_of, in_postgres
from rung.retrieval.publish import MANIFEST
from rung.retrieval.versions import is_base as is_folder_base


def is_base(where: str) -> bool:
    """Whether this names an index or a knowledge base, and not a run."""
    return in_postgres(where) or is_folder_base(Path(where)) or (Path(where) / MANIFEST).is_file()


class Base:
    """An index, or the current version of a knowledge base: whatever is published or taken back counts from the next search on."""

    def __init__(self, where: str, encoder: str | None = None) -> None:
        """`encoder`: `folder:PATH` where one of the team's own made it.

        Raises what opening the index raises, UsageError E2739 without that, and E1101 for an encoder that is not known here.
        """
        name = encoder_name(where, encoder)
        self.mode = "rrf" if name else "lexical"
        """How it is searched where nobody says how."""
        self._lock = threading.Lock()
        self._where = where
        self._encoder = create_encoder(name) if name else None
        self._retriever = home_of(where).open(self._encoder)

    @property
    def retriever(self) -> Retriever:
        with self._lock:
            if self._retriever.id.rpartition("@")[2] != str(self._current()):
                self._retriever = home_of(self._where).open(self._encoder)
            return self._retriever

    def _current(self) -> int:
        # The connection that is open already, where there is one, spares a new one.
        told = getattr(self._retriever, "current", None)
        return int(told()) if told else current_of(self._where)
