"""Times of rows: read from what people write, and whether training examples are later than those they are tested on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rung.core.errors import DataError
from rung.core.task import Example
from rung.data.findings import Finding

_WRITTEN = re.compile(
    r"(\d{4})\s*[-/.年]\s*(\d{1,2})(?:\s*[-/.月]\s*(\d{1,2})\s*日?)?\s*月?"
    r"(?:[\sT]*(\d{1,2})\s*[:时時]\s*(\d{1,2})(?:\s*[:分]\s*(\d{1,2}))?[分秒]?)?"
)
_EPOCH = re.compile(r"(\d{10})(?:\.\d+)?|(\d{13})")
_SHOWN = 20


def read_time(text: str) -> float | None:
    """Seconds since 1970; None for what names no time, or one that could be read in two ways, such as 03/05/2024.

    Read are ISO 8601, year first with -, / or . between (a time may follow), 2024年3月5日 14时30分, a year alone, and
    seconds or milliseconds since 1970. A time without a zone is taken as UTC.
    """
    text = text.strip()
    if epoch := _EPOCH.fullmatch(text):
        return float(text) if epoch[1] else float(text) / 1000
    try:
        if re.fullmatch(r"\d{4}", text):
            return datetime(int(text), 1, 1, tzinfo=UTC).timestamp()
        if written := _WRITTEN.fullmatch(text):
            year, month, day, hour, minute, second = (int(part) if part else 0 for part in written.groups())
            return datetime(year, month, day or 1, hour, minute, second, tzinfo=UTC).timestamp()
        if text.isdigit() and len(text) != 8:
            return None
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def read_times(written: Mapping[str, str]) -> dict[str, float]:
    """The times of rows, by id. Raises DataError E2182 where some cannot be read."""
    times = {id: read_time(text) for id, text in written.items()}
    bad = [f"{id} ('{written[id]}')" for id, time in times.items() if time is None]
    if bad:
        shown = ", ".join(bad[:_SHOWN]) + (", ..." if len(bad) > _SHOWN else "")
        raise DataError("E2182", n=len(bad), rows=shown)
    return {id: time for id, time in times.items() if time is not None}


def time_findings(splits: Mapping[str, Sequence[Example]], times: Mapping[str, float]) -> list[Finding]:
    """Training examples later than the earliest test example: from tomorrow's rows yesterday's are easily told.

    `times`: by id; examples without one are left out.
    """
    train = {e.id: times[e.id] for e in splits.get("train", ()) if e.id in times}
    test = {e.id: times[e.id] for e in splits.get("test", ()) if e.id in times}
    if not train or not test:
        return []
    first, last = min(test.values()), max(train.values())
    late = tuple(id for id, time in train.items() if time > first)
    if not late:
        return []
    early = sum(time < last for time in test.values())
    days = {
        name: datetime.fromtimestamp(time, UTC).date().isoformat() for name, time in (("first", first), ("last", last))
    }
    return [Finding("warning", "E2176", {"n": len(late), "early": early, **days}, late)]
