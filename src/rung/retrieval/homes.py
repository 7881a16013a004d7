"""Knowledge bases by where they lie: a folder, or `postgres:NAME` in the shared store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from rung.core.answer import Retriever
from rung.core.errors import UsageError
from rung.core.model import Encoder
from rung.core.registry import find
from rung.core.task import Document
from rung.retrieval.base import PARSED, Change, KnowledgeBase
from rung.retrieval.embedding import Progress
from rung.retrieval.versions import Version, is_base, made_by, read_pointer

POSTGRES = "postgres:"
_OWN = "folder"
"""Registry name of encoders that lie in a folder: a name without its path finds none."""


class Home(Protocol):
    """What a knowledge base can do, wherever it lies. See `KnowledgeBase`."""

    def claim(self) -> None: ...

    def open(self, encoder: Encoder | None = None, version: int | None = None) -> Retriever: ...

    def update(
        self,
        documents: Iterable[Document],
        encoder: Encoder | None,
        *,
        recipe: Mapping[str, int] | None = None,
        remove_others: bool = False,
        progress: Progress | None = None,
    ) -> Change: ...

    def delete(self, ids: Iterable[str]) -> Change: ...

    def versions(self) -> list[Version]: ...

    def rollback(self, to: int | None = None) -> Version: ...

    def compact(self) -> Version: ...

    def prune(self, keep: int = 1) -> list[int]: ...


def in_postgres(where: Path | str) -> bool:
    return str(where).startswith(POSTGRES)


def home_of(where: Path | str) -> Home:
    """The base that lies there, or will. Raises UsageError E1102 where the package for PostgreSQL is missing, E2785 for no name."""
    if in_postgres(where):
        name = str(where).removeprefix(POSTGRES)
        if not name:
            raise UsageError("E2785", value=str(where))
        store: Home = find("retriever", "postgres").base(name)
        return store
    return KnowledgeBase(Path(where))


def maker_of(where: Path | str, version: int | None = None) -> str:
    """Id of the encoder that made it, "" where it has no vectors. Raises DataError E2702, E2712."""
    if in_postgres(where):
        base: Any = home_of(where)
        return str(base.made_by())
    return made_by(Path(where), version)


def encoder_name(where: Path | str, given: str | None = None, version: int | None = None) -> str:
    """What the encoder that made it is called in task.yaml, "" where it has no vectors. `given`: what somebody calls it.

    Raises UsageError E2739 where it is one of the team's own and nobody says where that lies; and as `maker_of` does.
    """
    made_by = maker_of(where, version)
    if not made_by or given:
        return (given or "") if made_by else ""
    name = made_by.rpartition("@")[0]
    if name == _OWN:
        raise UsageError("E2739", str(where), encoder=made_by)
    return name


def current_of(where: Path | str) -> int:
    """The version that is served; 1 of an index that never changes. Raises DataError E2702."""
    if in_postgres(where):
        base: Any = home_of(where)
        return int(base.current())
    return read_pointer(Path(where)).current if is_base(Path(where)) else 1


def parsed_of(where: Path | str) -> Path | None:
    """Where what was read of documents' files may be kept; None: nowhere."""
    return None if in_postgres(where) else Path(where) / PARSED
