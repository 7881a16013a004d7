"""The commands of `rung data`, put together."""

from __future__ import annotations

import typer

from rung.cli.data import versions

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Make data that can be trusted: read, clean, check, mask, and keep every version.",
)

app.command("log")(versions.log_command)
app.command("show")(versions.show_command)
app.command("diff")(versions.diff_command)
app.command("card")(versions.card_command)
