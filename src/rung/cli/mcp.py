"""`rung mcp`: a knowledge base or a run as read-only tools for any program that speaks the Model Context Protocol."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import OwnLang, labels_in
from rung.cli.spoken import asked_language, own_language, say, spoken

if TYPE_CHECKING:
    from rung.core.task import Language


def mcp(
    path: str | Path,
    *,
    seen_by: Collection[str] = (),
    candidate: str | None = None,
    encoder: str | None = None,
    language: Language | None = None,
) -> None:
    """Serve a knowledge base or a run's winner over stdin and stdout until the client goes.

    `seen_by`: the access labels of whoever sits at the client; with none, only passages open to all are found. `encoder`:
    `folder:PATH`, where one of your own made the knowledge base.
    Raises UsageError E2770, E2773, E1302 or E1307 before anything is served.
    """
    from rung.connect.mcp_server import Desk, serve
    from rung.connect.source import Source

    source = Source(path, candidate=candidate, encoder=encoder)
    language = language or own_language()
    say(spoken("mcp.serving", language, path=source.path))
    serve(source, Desk(frozenset(seen_by), language))


def mcp_command(
    path: Annotated[str, typer.Argument(help="a run folder, a folder of runs, a knowledge base, or postgres:NAME")],
    seen_by: Annotated[
        str,
        typer.Option(help="labels of whoever sits at the client, with commas; only what is open to all when absent"),
    ] = "",
    candidate: Annotated[str | None, typer.Option(help="another candidate than the winner")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="folder:PATH, where an encoder of your own made the knowledge base")
    ] = None,
    lang: OwnLang = None,
) -> None:
    """Serve a knowledge base or a run to a program that speaks MCP, such as an editor or a chat client, over stdin and stdout.

    Tools, all of which only read: **search**, **ask** and **get_report**. Put the command into the client's settings:
    **rung mcp runs/my-run --seen-by staff,hr**
    """
    labels = labels_in(seen_by) or ()
    mcp(path, seen_by=labels, candidate=candidate, encoder=encoder, language=asked_language(lang))
