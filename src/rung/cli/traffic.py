"""The traffic of what is served, opened for a command: where it lies, and what had to be mended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.spoken import own_language, say, spoken
from rung.core.errors import UsageError

if TYPE_CHECKING:
    from rung.core.errors import Problem
    from rung.store.traffic.database import Traffic

StateFolder = Annotated[
    Path | None, typer.Option("--state", help="folder of keys, answers and feedback; serving/ in the run when absent")
]
_SPAN = re.compile(r"(\d{1,5})([mhdw])")
_HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0}


class Keep(StrEnum):
    """What is kept of people's and models' words."""

    texts = "texts"
    masked = "masked"
    """With personal data masked."""
    measures = "measures"
    """Lengths, languages and keyed hashes."""


@contextmanager
def open_traffic(folder: Path, *, make: bool = False, keep: Keep = Keep.texts) -> Iterator[Traffic]:
    """The traffic in a folder. Raises UsageError E7061 where there is none, unless it may be made; else as `Traffic.open`."""
    from rung.store.traffic.database import Traffic
    from rung.store.traffic.engines import address_in

    address = address_in(folder)
    if isinstance(address, Path) and not make and not address.is_file():
        raise UsageError("E7061", run=folder.parent.name, place=address)
    mask = _masked if keep == Keep.masked else None
    with Traffic.open(address, texts=keep != Keep.measures, mask=mask) as traffic:
        say_mended(traffic)
        yield traffic
        if traffic.trouble is not None:
            _say_problem(traffic.trouble)


def _masked(text: str) -> str:
    """Personal data as tags; with no memory beyond one text, so that nobody can be followed through the traffic by one."""
    from rung.data.privacy.mask import Masker

    return Masker().text(text).text


def say_mended(traffic: Traffic) -> None:
    """What was done to a damaged database, to stderr."""
    if traffic.mended is not None:
        _say_problem(traffic.mended.problem)


def _say_problem(problem: Problem) -> None:
    language = own_language()
    say(f"{problem.message(language)} [{problem.code}]")
    say("    " + spoken("hint", language, hint=problem.hint(language)))


def span_of(text: str) -> timedelta:
    """'7d' as a time. Raises UsageError E7062."""
    found = _SPAN.fullmatch(text.strip().lower())
    if not found or not int(found[1]):
        raise UsageError("E7062", value=text)
    return timedelta(hours=int(found[1]) * _HOURS[found[2]])


def moment_of(text: str, now: datetime) -> datetime:
    """So long ago ('7d'), or the beginning of a day ('2026-11-01', UTC). Raises UsageError E7062."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if "-" in text else now - span_of(text)
    except (ValueError, OverflowError):
        raise UsageError("E7062", value=text) from None
