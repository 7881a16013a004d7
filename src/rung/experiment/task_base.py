"""The knowledge base that a task names in place of documents: the version it is at, its encoder, and what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from rung.config import Config
from rung.core.errors import UsageError
from rung.core.task import SharedBase
from rung.data.documents import DocumentsResult
from rung.data.findings import Finding
from rung.methods.slots import encoder_named
from rung.retrieval.lending import look_up


def task_base(config: Config) -> SharedBase | None:
    """None where the task names files, or nothing.

    Raises UsageError E2719 where another encoder than the task's made the base, and what `look_up` raises.
    """
    named = config.base
    if named is None:
        return None
    base = look_up(named.where, named.version)
    if base.encoder and (used := encoder_named(config.encoder).id) != base.encoder:
        raise UsageError("E2719", config.where("encoder"), base=base.id, made_by=base.encoder, encoder=used)
    return base


def base_findings(base: SharedBase, documents: DocumentsResult, config: Config) -> Iterator[Finding]:
    """Where the documents come from, and whether the questions lie among them: as documents they would hand out the answers."""
    yield Finding("info", "E2735", {"base": base.id, "documents": f"{base.documents:,}", "passages": f"{base.items:,}"})
    files = {Path(path).name for path in config.data_files.values()}
    among = tuple(one.id for one in documents.documents if PurePosixPath(one.id).name in files)
    if among:
        yield Finding("warning", "E2737", {"base": base.id, "files": ", ".join(among)}, among)
