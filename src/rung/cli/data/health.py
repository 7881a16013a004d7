"""`rung data health`: what is unread, repeated, out of date, odd or badly cut in a set of documents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang
from rung.cli.spoken import asked_language, own_language

if TYPE_CHECKING:
    from rung.store.knowledge import Health


def data_health(
    source: Path,
    *,
    chunk_words: int = 120,
    progress: Callable[[float, float, str], None] | None = None,
) -> Health:
    """The state of the documents of a folder, an archive or a file: unread, repeated, out of date, odd, badly cut.

    `chunk_words`: words of a passage. Which documents no question retrieves is in the report of a run. Raises as
    rung.data.documents.read_documents does.
    """
    from rung.experiment.knowledge.measure import health_of_folder

    return health_of_folder(source, chunk_words=chunk_words, progress=progress)


def health_command(
    source: Annotated[Path, typer.Argument(help="a folder, a ZIP archive or a file", metavar="DOCUMENTS")],
    chunk_words: Annotated[int, typer.Option(help="words of a passage", min=10)] = 120,
    lang: OwnLang = None,
    json: AsJson = False,
) -> None:
    """Say what is wrong with a set of documents before anyone is answered from it. No model is asked.

    Example: **rung data health handbook/**
    """
    from rung.cli.screen import Screen
    from rung.reporting.health import health_text

    language = asked_language(lang) or own_language()
    with Screen(language) as screen:
        found = data_health(source, chunk_words=chunk_words, progress=screen.bar("health").update)
    if json:
        print(commands.to_json(found.model_dump(mode="json")))
    else:
        print(health_text(found, language), end="")
