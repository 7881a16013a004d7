"""A LangChain retriever over an index or a run: what Rung finds, as LangChain's documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rung.connect.source import OPEN, Source, facts
from rung.core.answer import Hit
from rung.core.errors import UsageError

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from pydantic import Field
except ModuleNotFoundError as error:
    raise UsageError("E2773", name="LangChain", package=error.name, extra="langchain") from error


class RungRetriever(BaseRetriever):
    """`RungRetriever.of("runs/my-run", seen_by={"staff"}).invoke("How long ...?")`.

    A document's metadata: id, document, title, start, end, score, and the metadata of its source. The fields hold for every
    call; `invoke(question, k=..., mode=..., seen_by=..., where=...)` sets them for one.
    """

    source: Source
    k: int | None = None
    mode: str | None = None
    seen_by: frozenset[str] | None = Field(default=OPEN)
    """Access labels of whoever reads the passages: with none, only what is open to all is found. None lifts the limit."""
    where: dict[str, Any] | None = None

    @classmethod
    def of(
        cls, path: str | Path, *, candidate: str | None = None, encoder: str | None = None, **fields: Any
    ) -> RungRetriever:
        """A retriever over a run folder, a folder of runs, an index folder, or `postgres:NAME`, as `Source` takes them.

        Raises UsageError E2770.
        """
        return cls(source=Source(path, candidate=candidate, encoder=encoder), **fields)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **asked: Any
    ) -> list[Document]:
        own = {"k": self.k, "mode": self.mode, "seen_by": self.seen_by, "where": self.where}
        return [_document(hit) for hit in self.source.search(query, **{**own, **asked})]


def _document(hit: Hit) -> Document:
    return Document(id=hit.item.id, page_content=hit.item.text, metadata=facts(hit))
