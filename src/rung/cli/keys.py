"""`rung keys`: who may ask what is served."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import commands
from rung.cli.options import AsJson, OwnLang, RunPath
from rung.cli.spoken import asked_language, own_language, say, spoken
from rung.cli.traffic import StateFolder, open_traffic, span_of

if TYPE_CHECKING:
    from rung.store.traffic.records import Key

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Make, list and take back the keys that a server asks for.\n\nStart with **rung keys new runs/my-run desk**",
)


def new_key(
    run: Path,
    name: str,
    *,
    tenant: str = "default",
    scopes: Collection[str] = ("answer", "feedback"),
    labels: Collection[str] | None = (),
    requests_per_minute: int | None = None,
    tokens_per_day: int | None = None,
    expires: datetime | None = None,
    state: Path | None = None,
) -> tuple[Key, str]:
    """Make a key for what is served of a run; its secret is given here and never again.

    `scopes`: answer, feedback, metrics, admin. `labels`: access labels of documents that it may see besides those
    that are open to all; None: every document.
    `state`: the folder that `rung serve` was given. Raises UsageError E1301, E7056, and as `Traffic.open`.
    """
    with open_traffic(_folder(run, state), make=True) as traffic:
        return traffic.new_key(
            name,
            tenant=tenant,
            scopes=scopes,
            labels=labels,
            requests_per_minute=requests_per_minute,
            tokens_per_day=tokens_per_day,
            expires=expires,
        )


def list_keys(run: Path, *, state: Path | None = None) -> list[Key]:
    """Every key that was made for a run, the oldest first. Raises UsageError E1301, E7061."""
    with open_traffic(_folder(run, state)) as traffic:
        return traffic.keys()


def revoke_key(run: Path, id: str, *, state: Path | None = None) -> Key:
    """Take a key back; a running server refuses it within seconds. Raises UsageError E1301, E7057, E7061."""
    with open_traffic(_folder(run, state)) as traffic:
        return traffic.revoke_key(id)


def _folder(run: Path, state: Path | None) -> Path:
    from rung.store.deployment import Deployment

    return Deployment.at(run, state).folder


def key_record(key: Key) -> dict[str, Any]:
    """A key for programs."""
    labels = None if key.labels is None else sorted(key.labels)
    return asdict(key) | {"scopes": sorted(key.scopes), "labels": labels, "valid": key.valid(datetime.now(UTC))}


@app.command("new")
def new_command(
    run: RunPath,
    name: Annotated[str, typer.Argument(help="who it is for; shown in lists")],
    tenant: Annotated[str, typer.Option(help="whose answers and feedback are kept apart from others'")] = "default",
    scope: Annotated[
        list[str] | None, typer.Option(help="answer, feedback, metrics or admin; may be given several times")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="access label of documents that it may see, besides what is open to all; may be repeated"),
    ] = None,
    all_documents: Annotated[
        bool, typer.Option("--all-documents", help="it may see every document, whatever its labels")
    ] = False,
    requests_per_minute: Annotated[int | None, typer.Option(help="most requests in a minute")] = None,
    tokens_per_day: Annotated[int | None, typer.Option(help="most tokens, read and written, in 24 hours")] = None,
    expires: Annotated[str | None, typer.Option(help="how long it is good for: 30d, 12h, 8w")] = None,
    state: StateFolder = None,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Make a key. Its secret is printed once, on stdout, and stored nowhere.

    Example: **rung keys new runs/my-run desk --tokens-per-day 200000 --expires 90d**
    """
    key, secret = new_key(
        run,
        name,
        tenant=tenant,
        scopes=scope or ("answer", "feedback"),
        labels=None if all_documents else label or (),
        requests_per_minute=requests_per_minute,
        tokens_per_day=tokens_per_day,
        expires=datetime.now(UTC) + span_of(expires) if expires else None,
        state=state,
    )
    if json:
        print(commands.to_json(key_record(key) | {"secret": secret}))
        return
    language = asked_language(lang) or own_language()
    say(spoken("keys.made", language, id=key.id, name=key.name))
    print(secret)
    say(spoken("keys.once", language))


@app.command("list")
def list_command(
    run: RunPath = Path("runs"), state: StateFolder = None, json: AsJson = False, lang: OwnLang = None
) -> None:
    """List every key: whose it is, what it may do, and whether it still does."""
    found = list_keys(run, state=state)
    if json:
        print(commands.to_json([key_record(key) for key in found]))
        return
    language = asked_language(lang) or own_language()
    if not found:
        say(spoken("keys.none", language))
    for key in found:
        print(_line(key, language))


def _line(key: Key, language: str) -> str:
    state = "revoked" if key.revoked else "valid" if key.valid(datetime.now(UTC)) else "expired"
    parts = [
        key.id,
        spoken(f"keys.{state}", language),
        key.name,
        spoken("keys.tenant", language, tenant=key.tenant),
        ",".join(sorted(key.scopes)),
    ]
    if key.labels is None:
        parts.append(spoken("keys.everything", language))
    elif key.labels:
        parts.append(spoken("keys.labels", language, labels=",".join(sorted(key.labels))))
    if key.requests_per_minute:
        parts.append(spoken("keys.requests", language, n=key.requests_per_minute))
    if key.tokens_per_day:
        parts.append(spoken("keys.tokens", language, n=key.tokens_per_day))
    if key.expires:
        parts.append(spoken("keys.until", language, when=f"{key.expires:%Y-%m-%d %H:%M}"))
    return "  ".join(parts)


@app.command("revoke")
def revoke_command(
    run: RunPath,
    key: Annotated[str, typer.Argument(help="the key's id, from rung keys list", metavar="KEY")],
    state: StateFolder = None,
    json: AsJson = False,
    lang: OwnLang = None,
) -> None:
    """Take a key back for good."""
    found = revoke_key(run, key, state=state)
    if json:
        print(commands.to_json(key_record(found)))
    else:
        say(spoken("keys.gone", asked_language(lang) or own_language(), id=found.id, name=found.name))
