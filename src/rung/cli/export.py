"""`rung export`: a tuned candidate as files for other engines, with the proof that they answer the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from rung.cli import commands
from rung.cli.options import AsJson, RunPath, TaskLang
from rung.cli.spoken import asked_language, harmless, own_language, say
from rung.core.errors import TargetNotMet

if TYPE_CHECKING:
    from rung.core.method import Progress
    from rung.core.task import Language
    from rung.experiment.exporting.export import Exported
    from rung.store.export import EngineProof, ExportRecord

_WIDE = 160
"""Characters of a question or answer that are shown."""


def export(
    run: Path = Path("runs"),
    *,
    to: str = "hf",
    candidate: str | None = None,
    out: Path | None = None,
    quant: str = "f16",
    check: int = 20,
    tolerance: float | None = None,
    force: bool = False,
    language: Language | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write a run's tuned candidate as `to` (hf, gguf, ollama, llama-factory) and compare what was written with it.

    `check`: dev questions to compare on; 0 for none. `tolerance`: share of answers that may differ. Look at `proved` of what
    comes back: where it is False, the folder's name ends in `.unproven`. Raises UsageError E6200-E6214, WriteError.
    """
    from rung.experiment.exporting.export import Order, export_candidate
    from rung.reporting.model_card import model_card
    from rung.store.runs import RunFolder

    folder = RunFolder.existing(run)
    spoken: Language = language or folder.read_run().get("task", {}).get("language", "en")
    order = Order(to, candidate, out, quant, check, tolerance, force)
    return export_candidate(folder, order, card=lambda record: model_card(folder, record, spoken), progress=progress)


def export_command(
    run: RunPath = Path("runs"),
    to: Annotated[str, typer.Option(help="hf, gguf, ollama or llama-factory")] = "hf",
    candidate: Annotated[str | None, typer.Option(help="another candidate than the winner")] = None,
    out: Annotated[Path | None, typer.Option(help="folder to write; exports/ in the run when absent")] = None,
    quant: Annotated[str, typer.Option(help="numbers in a GGUF file: f16, bf16, or q8_0, half the size")] = "f16",
    check: Annotated[int, typer.Option(help="dev questions that both must answer alike; 0 for no proof", min=0)] = 20,
    tolerance: Annotated[
        float | None,
        typer.Option(help="share of answers that may differ; by the form when absent: 0 for hf, 0.05 f16, 0.1 q8_0"),
    ] = None,
    force: Annotated[bool, typer.Option(help="replace an earlier export of the same name")] = False,
    lang: TaskLang = None,
    json: AsJson = False,
) -> None:
    """Write a tuned candidate for other engines, and prove that it still answers the same.

    **hf**: merged weights and the PEFT folder, for transformers, PEFT and vLLM. **gguf**: one file for llama.cpp.
    **ollama**: the same with a Modelfile. **llama-factory**: training rows, settings and adapter.

    Example: **rung export runs/ --to gguf --quant q8_0**

    When the answers part, nothing is published: the folder's name ends in .unproven, and the exit code is 6.
    """
    from rung.cli.screen import Screen

    language = asked_language(lang)
    with Screen(language or own_language()) as screen:
        exported = export(
            run,
            to=to,
            candidate=candidate,
            out=out,
            quant=quant,
            check=check,
            tolerance=tolerance,
            force=force,
            language=language,
            progress=screen.bar(f"export {to}"),
        )
    record = exported.record
    if json:
        print(
            commands.to_json({"path": str(exported.path), "proved": exported.proved, **record.model_dump(mode="json")})
        )
    else:
        show_export(record, language or own_language())
        print(exported.path)
    if not exported.proved:
        failed = next(engine for engine in record.proof.engines if not engine.holds)  # type: ignore[union-attr]
        raise TargetNotMet(
            "E6210",
            engine=failed.engine,
            differ=failed.differ,
            n=failed.n,
            allowed=failed.allowed,
            path=exported.path,
        )


def show_export(record: ExportRecord, language: Language) -> None:
    """The proof as a table, the questions where answers part, and what a reader should know; to stderr."""
    from rung.reporting.model_card import PROOF_COLUMNS, note_lines, proof_rows
    from rung.reporting.words import Words

    words = Words(language)
    rows = proof_rows(record, words)
    if rows:
        table = Table(box=None, pad_edge=False)
        for column in PROOF_COLUMNS:
            left = column in {"form", "engine", "verdict"}
            table.add_column(words(f"export.{column}"), justify="left" if left else "right", overflow="fold")
        for row in rows:
            table.add_row(*row)
        Console(stderr=True, markup=False).print(table)
    for engine in record.proof.engines if record.proof else ():
        _show_partings(engine, words)
    for line in note_lines(record, words):
        say(line)


def _show_partings(engine: EngineProof, words: Any) -> None:
    for parting in engine.partings:
        say(
            words(
                "export.parting",
                form=words(f"export.form.{engine.name}"),
                id=parting.example,
                question=_short(parting.question),
            )
        )
        say("    " + words("export.trained", answer=_short(parting.trained)))
        say("    " + words("export.other", answer=_short(parting.other)))


def _short(text: str) -> str:
    line = " ".join(harmless(text).split())
    return line if len(line) <= _WIDE else line[: _WIDE - 1] + "…"
