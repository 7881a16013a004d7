"""The commands of `rung data`, put together."""

from __future__ import annotations

import typer

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Make data that can be trusted: read, clean, check, mask, and keep every version.",
)
