"""A knowledge base and a run with one answering candidate, for what connects to them."""

from __future__ import annotations

import time
from pathlib import Path

from rung.core.candidate import Candidate, OutputSlot, PromptSlot, Recipe, RetrieverSlot
from rung.core.durable import write_json
from rung.core.task import Document
from rung.models.extractive import ExtractiveModel
from rung.retrieval.base import KnowledgeBase
from rung.retrieval.chunk import chunk_documents
from rung.retrieval.index import build_index
from rung.store.runs import RunFolder

DOCUMENTS = [
    Document("lease.md", "Lease", "The deposit is returned within thirty days.", metadata={"year": "2024"}),
    Document("租约.md", "租约", "押金应在三十天内退还。", metadata={"year": "2025"}),
    Document("pay.md", "Pay", "The deposit of the director is a secret canary.", access=("hr",)),
    Document("odd.md", "Odd \x1b[31m", "A bell \x07 rings, and half a \ud83d character.", metadata={"year": "2024"}),
]


def small_base(folder: Path) -> KnowledgeBase:
    """A base that is searched by words alone."""
    base = KnowledgeBase(folder)
    base.update(DOCUMENTS, None)
    return base


def small_run(folder: Path) -> RunFolder:
    """A run without records but one candidate, which answers with the best sentence of what it found."""
    run = RunFolder(folder)
    index = build_index(chunk_documents(DOCUMENTS, 120, 20), encoder=None, indexes=run.indexes, kind="passages")
    candidate = Candidate(
        method="rag",
        model=ExtractiveModel("best_sentence").ref,
        prompt=PromptSlot(instruction="Answer.", fields=("question",)),
        retriever=RetrieverSlot(recipe=Recipe(fusion="lexical", k=2), index=index),
        output=OutputSlot(),
    )
    write_json(run.candidate_folder("answering") / "candidate.json", candidate.model_dump(mode="json"))
    plain = candidate.model_copy(update={"retriever": None, "method": "prompt"})
    write_json(run.candidate_folder("plain") / "candidate.json", plain.model_dump(mode="json"))
    run.write_run({"id": folder.name, "made": time.time()})
    return run
