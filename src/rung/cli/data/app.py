"""The commands of `rung data`, put together."""

from __future__ import annotations

import typer

from rung.cli.data import versions
from rung.cli.data.check import check_command
from rung.cli.data.clean import clean_command, undo_command
from rung.cli.data.convert import export_command, import_command, schema_command
from rung.cli.data.draft import draft_command
from rung.cli.data.duplicates import duplicates_command
from rung.cli.data.forget import forget_command
from rung.cli.data.health import health_command
from rung.cli.data.privacy import mask_command, privacy_command, unmask_command
from rung.cli.data.read import read_command

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Make data that can be trusted: read, clean, check, mask, and keep every version.",
)

# In the order of --help: in and out, rows, people, new rows, versions.
app.command("read")(read_command)
app.command("health")(health_command)
app.command("import")(import_command)
app.command("export")(export_command)
app.command("schema")(schema_command)
app.command("clean")(clean_command)
app.command("undo")(undo_command)
app.command("duplicates")(duplicates_command)
app.command("check")(check_command)
app.command("privacy")(privacy_command)
app.command("mask")(mask_command)
app.command("unmask")(unmask_command)
app.command("forget")(forget_command)
app.command("draft")(draft_command)
app.command("log")(versions.log_command)
app.command("show")(versions.show_command)
app.command("diff")(versions.diff_command)
app.command("card")(versions.card_command)
