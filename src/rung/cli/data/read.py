"""`rung data read`: a folder, an archive or a file as documents: what could be read, what could not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang
from rung.cli.spoken import asked_language, own_language, say, spoken

if TYPE_CHECKING:
    from rung.core.task import Document, Language
    from rung.data.documents import DocumentsResult
    from rung.data.intake.limits import Limits

CACHE = Path(".rung/documents")
"""Where what was parsed is kept, below a task's folder or an output folder."""
_SHOWN = 20


def data_read(
    source: Path,
    *,
    out: Path | None = None,
    markdown: Path | None = None,
    limits: Limits | None = None,
    progress: Callable[[float, float, str], None] | None = None,
    language: Language = "en",
) -> DocumentsResult:
    """Read every document of a folder, a ZIP archive or a file.

    `out`: a folder for documents.jsonl and failed.jsonl; it also keeps what was parsed, so that the same call goes on where it was
    stopped and parses only what is new. `markdown`: a folder for one Markdown file a document. Raises UsageError E2371 where one
    of them lies in the folder that is read; else as rung.data.documents.read_documents does.
    """
    from rung.core.errors import UsageError
    from rung.data.documents import read_documents
    from rung.data.intake.export import write_markdown, write_set

    for folder in filter(None, (out, markdown)):
        if folder.resolve().is_relative_to(source.resolve()):
            raise UsageError("E2371", path=folder, source=source)
    cache = out / CACHE if out else None
    result = read_documents(source, cache=cache, limits=limits, progress=progress)
    if markdown:
        write_markdown(result.documents, markdown)
    if out:
        write_set(result, out, language)
    return result


def read_command(
    source: Annotated[Path, typer.Argument(help="a folder, a ZIP archive or a file", metavar="SOURCE")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="folder for documents.jsonl and failed.jsonl; the same command resumes"),
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="folder for one Markdown file a document")] = None,
    seconds: Annotated[int, typer.Option(help="most computing time for one file", min=1)] = 60,
    memory: Annotated[int, typer.Option(help="most memory for one file, in MiB", min=200)] = 1024,
    workers: Annotated[int, typer.Option(help="files read at the same time; 0: one for each core", min=0)] = 0,
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Read documents of any format, each in a process of its own, and say what could not be read and why.

    Example: **rung data read handbook/ -o read/**
    """
    from rung.cli.screen import Screen
    from rung.data.intake.export import document_row, failed_rows
    from rung.data.intake.limits import Limits

    language = asked_language(lang) or own_language()
    limits = Limits(seconds=seconds, wall_seconds=3 * seconds, memory_mib=memory, workers=workers)
    with Screen(language) as screen:
        bar = screen.bar(spoken("read.bar", language))
        result = data_read(source, out=out, markdown=markdown, limits=limits, progress=bar.update, language=language)
    if json:
        print(
            commands.to_json(
                {
                    "total": result.total,
                    "parsed": result.parsed,
                    "documents": [
                        document_row(document, result.remarks, language, text=False) for document in result.documents
                    ],
                    "copies": dict(result.copies),
                    "failed": failed_rows(result, language),
                }
            )
        )
        return
    _show(result, language)
    for path in filter(None, (out and out / "documents.jsonl", markdown)):
        say(spoken("read.wrote", language, path=path))


def _show(result: DocumentsResult, language: Language) -> None:
    from rich.console import Console

    counts = {"read": len(result.documents), "copies": len(result.copies), "failed": len(result.failed)}
    print(spoken("read.counts", language, total=result.total, parsed=result.parsed, **counts))
    # A file's name may hold [brackets], which are no markup.
    Console(markup=False, highlight=False).print(_table(result.documents, language))
    remarks: list[tuple[str, str]] = []
    for id, told in result.remarks.items():
        remarks += [(id, _problem(remark.code, remark.values, language)) for remark in told]
    _list(spoken("read.remarks", language, n=len(remarks)), remarks, language)
    reasons = [(item.id, f"{item.problem.message(language)} [{item.code}]") for item in result.failed]
    _list(spoken("read.failed", language, n=len(reasons)), reasons, language)
    for hint in dict.fromkeys(hint for item in result.failed if (hint := item.problem.hint(language))):
        print("    " + spoken("hint", language, hint=hint))


def _problem(code: str, values: dict[str, object], language: Language) -> str:
    from rung.core.errors import Problem

    return f"{Problem(code, '', values).message(language)} [{code}]"


def _list(head: str, rows: Sequence[tuple[str, str]], language: Language) -> None:
    if not rows:
        return
    print(f"\n{head}")
    for name, text in rows[:_SHOWN]:
        print(f"  {name}: {text}")
    if len(rows) > _SHOWN:
        print("  " + spoken("read.more", language, n=len(rows) - _SHOWN))


def _table(documents: Sequence[Document], language: Language) -> object:
    from rich.table import Table

    from rung.text.script import writing_of

    table = Table(box=None, pad_edge=False)
    for name in ("format", "files", "characters", "pages", "languages"):
        side = "left" if name in {"format", "languages"} else "right"
        table.add_column(spoken(f"read.{name}", language), justify=side)  # type: ignore[arg-type]
    formats: dict[str, list[Document]] = {}
    for document in documents:
        formats.setdefault(document.meta.get("format", "-"), []).append(document)
    for name, of_format in sorted(formats.items(), key=lambda item: -len(item[1])):
        pages = sum(int(document.meta.get("pages") or 0) for document in of_format)
        spread = Counter(writing_of(document.text) or "-" for document in of_format)
        table.add_row(
            name,
            f"{len(of_format):,}",
            f"{sum(len(document.text) for document in of_format):,}",
            f"{pages:,}" if pages else "-",
            ", ".join(f"{tongue} {n}" for tongue, n in spread.most_common()),
        )
    return table
