"""A document set as files: documents.jsonl, failed.jsonl, and a Markdown file for each document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from rung.core.durable import write_text, writing
from rung.core.errors import Problem
from rung.core.task import Document
from rung.data.documents import DocumentsResult
from rung.data.parsing.blocks import Remark

INDEX = "index.jsonl"
_UNSAFE = re.compile(r"[^\w.\-]+")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_LONGEST = 60
"""Characters of a file's name: at most 240 bytes, and names may hold 255."""


def write_set(result: DocumentsResult, out: Path, language: str = "en") -> None:
    """Write documents.jsonl and failed.jsonl into a folder, each whole or not at all. Raises WriteError E5001, E5002.

    A document's line: id, title, text, meta, marks (start, label), remarks (code, message). A failed file's: id, code,
    reason, hint; reasons in `language`.
    """
    write_text(out / "failed.jsonl", _lines(failed_rows(result, language)))
    write_text(
        out / "documents.jsonl",
        _lines(document_row(document, result.remarks, language) for document in result.documents),
    )


def document_row(
    document: Document, remarks: Mapping[str, Sequence[Remark]], language: str = "en", *, text: bool = True
) -> dict[str, Any]:
    """A document as a JSON object; without its text where only facts are wanted."""
    return {
        "id": document.id,
        "title": document.title,
        **({"text": document.text} if text else {"characters": len(document.text)}),
        "meta": dict(document.meta),
        "marks": [{"start": mark.start, "label": mark.label} for mark in document.marks],
        "remarks": [
            {"code": remark.code, "message": Problem(remark.code, "", remark.values).message(language)}
            for remark in remarks.get(document.id, ())
        ],
    }


def failed_rows(result: DocumentsResult, language: str = "en") -> list[dict[str, str]]:
    return [
        {
            "id": failed.id,
            "code": failed.code,
            "reason": failed.problem.message(language),
            "hint": failed.problem.hint(language),
        }
        for failed in result.failed
    ]


def write_markdown(documents: Iterable[Document], folder: Path) -> None:
    """One Markdown file a document, and index.jsonl, which tells whose it is; files of an earlier index go.

    No name of a document's leads out of the folder, is taken twice, or is a device somewhere. Raises WriteError E5001, E5002.
    """
    before = _listed(folder)
    taken: set[str] = {INDEX}
    index = []
    for document in documents:
        name = _file_name(document.id, taken)
        write_text(folder / name, document.text + "\n")
        index.append({"file": name, "id": document.id, "title": document.title})
    write_text(folder / INDEX, _lines(index))
    for name in before - {row["file"] for row in index}:
        with writing(folder / name):
            (folder / name).unlink(missing_ok=True)


def _file_name(id: str, taken: set[str]) -> str:
    path = PurePosixPath(id)
    plain = _UNSAFE.sub("_", "__".join(path.parts)).strip("._ ")[:_LONGEST] or "document"
    if _DEVICES.match(plain):
        plain = f"_{plain}"
    name, n = f"{plain}.md", 2
    # Two names that differ only in case are one file on some systems.
    while name.casefold() in taken:
        name, n = f"{plain}-{n}.md", n + 1
    taken.add(name.casefold())
    return name


def _listed(folder: Path) -> set[str]:
    """Files that an earlier call wrote; only plain names, whatever the index says."""
    try:
        rows = [json.loads(line) for line in (folder / INDEX).read_text("utf-8").splitlines()]
        return {name for row in rows if (name := str(row["file"])).endswith(".md") and Path(name).name == name}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
