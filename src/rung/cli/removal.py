"""`rung traffic`: what has been kept long enough, or one person's answers, taken out of the traffic of what is served."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang, RunPath
from rung.cli.spoken import asked_language, own_language, say, spoken
from rung.cli.traffic import StateFolder, moment_of, open_traffic

if TYPE_CHECKING:
    from rung.store.traffic.erasing import Erased

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Take served answers out of the traffic: what is old, or what is one person's.\n\n"
    "Both commands only count at first; **--yes** does it. A server may go on meanwhile.",
)
_Yes = Annotated[bool, typer.Option("--yes", help="do it; without, only count what would go")]


def prune_traffic(run: Path, older_than: datetime, *, yes: bool = False, state: Path | None = None) -> Erased:
    """Take out every answer from before a moment, with what was said of it; without `yes` only count them.

    `state`: the folder that `rung serve` was given. Raises UsageError E1301, E7061; and as `Traffic.open`.
    """
    from rung.store.deployment import Deployment

    with open_traffic(Deployment.at(run, state).folder) as traffic:
        return traffic.prune(older_than, look=not yes)


def erase_traffic(
    run: Path,
    *,
    contains: str = "",
    key: str = "",
    trace: str = "",
    tenant: str | None = None,
    yes: bool = False,
    state: Path | None = None,
) -> Erased:
    """Take one person's answers out, from the backup too: those that hold a text, of a key, or one by its id; several are all needed.

    Without `yes` they are only counted. Raises DataError E7058 where nobody is named, UsageError E1301, E7061; and as `Traffic.open`.
    """
    from rung.store.deployment import Deployment

    with open_traffic(Deployment.at(run, state).folder) as traffic:
        return traffic.erase(contains=contains, key=key, tenant=tenant, trace=trace, look=not yes)


@app.command("prune")
def prune_command(
    run: RunPath,
    older_than: Annotated[
        str, typer.Option(help="age from which answers go: 90d, 12w; or the first day to keep, such as 2026-11-01")
    ],
    yes: _Yes = False,
    state: StateFolder = None,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Take out every answer that is older than that, with what was said of it.

    Drift, trials and **rung feedback** then know nothing of them. The backup beside the database forgets them within a day.

    Example, once a day by a timer: **rung traffic prune runs/my-run --older-than 90d --yes**
    """
    found = prune_traffic(run, moment_of(older_than, datetime.now(UTC)), yes=yes, state=state)
    _show(found, "pruned", lang, yes=yes, json=json)


@app.command("erase")
def erase_command(
    run: RunPath,
    contains: Annotated[
        str,
        typer.Option(help="text that a question, an answer or feedback holds: a name, a number; in any case and width"),
    ] = "",
    key: Annotated[str, typer.Option(help="id of the key that asked, from rung keys list")] = "",
    trace: Annotated[str, typer.Option(help="id of one answer: rq-...")] = "",
    tenant: Annotated[str | None, typer.Option(help="only among this tenant's answers")] = None,
    yes: _Yes = False,
    state: StateFolder = None,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Take one person's answers out, with what was said of them, from the backup too.

    Of --contains, --key and --trace at least one is needed; several must all hold. Where no texts are kept, **--contains** finds
    only whole questions and answers. What **rung feedback export** has made of answers is a data set: **rung data forget**.

    Example: **rung traffic erase runs/my-run --contains "Ada Lovelace"**, then the same with **--yes**
    """
    found = erase_traffic(run, contains=contains, key=key, trace=trace, tenant=tenant, yes=yes, state=state)
    _show(found, "erased", lang, yes=yes, json=json)


def _show(found: Erased, what: str, lang: str | None, *, yes: bool, json: bool) -> None:
    language = asked_language(lang) or own_language()
    if json:
        print(commands.to_json({"done": yes, **asdict(found)}))
    else:
        key = f"traffic.{what if yes else 'would_go'}"
        print(spoken(key, language, traces=found.traces, feedback=found.feedback))
        for path in found.files:
            print(spoken("traffic.by_hand", language, path=path))
    if not yes:
        say(spoken("forget.dry", language))
