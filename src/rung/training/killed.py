"""What a training that was killed from outside leaves for its next start: whether memory was the likely cause, and how much less to take."""

from __future__ import annotations

import json
from pathlib import Path

from rung.core.durable import write_whole
from rung.training.memory import SMALLEST_PART
from rung.training.room import Ceiling, Room

_WORD = "killed.json"


def out_of_memory_kills(counts: Path = Path("/proc/vmstat")) -> int | None:
    """Processes that the system has killed for want of memory since it was started; None where it does not say."""
    try:
        lines = dict(line.split() for line in counts.read_text("ascii").splitlines())
        return int(lines["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None


def leave_word(folder: Path, *, memory: bool) -> None:
    """Write down that a training was killed; `memory`: that it may have been for want of memory, so that it takes half as much next."""
    record = _read(folder)
    record["kills"] = record.get("kills", 0) + 1
    record["halved"] = record.get("halved", 0) + memory
    write_whole(folder / _WORD, json.dumps(record).encode())


def ceiling_after(folder: Path, micro_tokens: int) -> Ceiling | None:
    """Fewer tokens at once than `micro_tokens`, where earlier starts were killed for want of memory."""
    record = _read(folder)
    halved = record.get("halved", 0)
    if not halved:
        return None
    tokens = max(SMALLEST_PART, micro_tokens >> halved)
    return Ceiling(tokens, {"kind": "killed", "kills": record["kills"]})


def ceiling_of(folder: Path, micro_tokens: int, room: Room | None) -> Ceiling | None:
    """Fewer tokens at once than the settings say: after a kill for want of memory, or by plan for a training that only begins.

    One that goes on keeps to what it began with, so that it ends with the same bits.
    """
    begun = any((folder / "checkpoints").glob("step-*"))
    planned = None if room is None or begun else room.ceiling
    found = [ceiling for ceiling in (ceiling_after(folder, micro_tokens), planned) if ceiling is not None]
    return min(found, key=lambda ceiling: ceiling.tokens, default=None)


def _read(folder: Path) -> dict[str, int]:
    try:
        record: dict[str, int] = json.loads((folder / _WORD).read_text("utf-8"))
        return record
    except (OSError, ValueError):
        return {}
