"""The documents that a task names, read once and kept beside it; questions lying among them are not taken for documents."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rung.config import Config
from rung.core.method import Progress
from rung.core.task import Example, SharedBase
from rung.data.access import rules_path, with_rules
from rung.data.cleaning.orders import OrderFilter
from rung.data.documents import DocumentsResult, read_documents
from rung.data.findings import Finding
from rung.experiment.task_base import task_base
from rung.retrieval.lending import documents_of

KEPT = ".rung/documents"
"""Where what was parsed is kept, below the task's folder."""
_SHOWN = 20
_ORDERS = {"E2335", "E2357"}
"""Remarks on documents that give a language model orders, in their text or in their name."""


def task_documents(
    config: Config, progress: Progress | None = None, *, base: SharedBase | None = None
) -> DocumentsResult:
    """Every document of the task; none where it names none. `base`: the knowledge base that it names, where it is known already.

    Raises DataError E2301, E2302, E2359, E2714, E2715, WriteError; of a base what `task_base` raises.

    Files of examples inside the folder are left out: as documents they would hand out the answers. So are runs. With
    `drop_orders`, paragraphs and titles that give a language model orders are left out too.
    """
    if not config.documents:
        return DocumentsResult((), (), 0)
    if base := base or task_base(config):
        found_there = documents_of(base)
        return DocumentsResult(found_there, (), len(found_there))
    kept = config.folder / KEPT
    here = kept.parent if kept.parent.exists() else config.folder
    screen = OrderFilter() if config.drop_orders else None
    source = config.path(config.documents)
    found = read_documents(
        source,
        # A task on a read-only disk is read in full each time.
        cache=kept if os.access(here, os.W_OK) else None,
        skip=[*map(config.path, config.data_files.values()), config.file, config.folder / "runs", rules_path(source)],
        progress=progress.update if progress else None,
        clean=screen,
    )
    found = with_rules(found, source)
    if screen is None:
        return found
    documents = tuple(screen.title_of(document) for document in found.documents)
    return replace(found, documents=documents, dropped=tuple(screen.removed))


def document_findings(documents: DocumentsResult) -> list[Finding]:
    """What a person should know about the documents before trusting a score."""
    found = []
    if documents.failed:
        ids = tuple(failed.id for failed in documents.failed)
        found.append(Finding("warning", "E2373", {"n": len(ids), "total": documents.total}, ids[:_SHOWN]))
    if documents.dropped:
        found.append(Finding("warning", "E2754", {"n": len(documents.dropped), "example": documents.dropped[0]}))
    elif ordering := [id for id, told in documents.remarks.items() if {r.code for r in told} & _ORDERS]:
        found.append(Finding("warning", "E2755", {"n": len(ordering)}, tuple(ordering[:_SHOWN])))
    if documents.remarks:
        ids = tuple(documents.remarks)
        found.append(Finding("info", "E2374", {"n": len(ids)}, ids[:_SHOWN]))
    return found


def by_kept_name(examples: Sequence[Example], copies: Mapping[str, str]) -> tuple[Example, ...]:
    """Examples whose known documents go by the ids that were kept, where a file was another one's copy."""
    if not copies:
        return tuple(examples)
    return tuple(
        replace(example, documents=tuple(dict.fromkeys(copies.get(name, name) for name in example.documents)))
        if example.documents
        else example
        for example in examples
    )
