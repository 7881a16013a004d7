"""Whether a training has room before it starts: memory of this machine, and space on the disk for its checkpoints."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.errors import WriteError
from rung.core.model import Sizes
from rung.training.memory import MemoryPlan, describe, lower_to_fit, plan_memory
from rung.training.row_tokens import RowTokens, Scoring
from rung.training.settings import TrainSettings

_SHARE = 0.9
"""Part of the free memory that a training may plan with; the rest is for what else the machine does."""
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""Files of a control group, of the second and of the first kind, that say how much memory a container may have, and has."""


@dataclass(frozen=True)
class Ceiling:
    """The most tokens that may go through the model at once, and why."""

    tokens: int
    note: dict[str, Any]


def free_memory(device: str = "cpu", *, groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that a process can still get: of the machine, or of the container that it runs in, whichever has less."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used, counts in _LIMITS:
        try:
            room = int((groups / limit).read_text("ascii")) - int((groups / used).read_text("ascii"))
            # Pages of files that nobody has touched for a while are given back when they are needed.
            lines = dict(line.split() for line in (groups / counts).read_text("ascii").splitlines())
            free = min(free, room + int(lines.get("inactive_file", 0)))
        except (OSError, ValueError):
            continue
    return max(0, free)


def memory_there(device: str = "cpu") -> int:
    """Bytes that a training may plan with: most of what is free, and what this process holds already."""
    import psutil

    held = int(psutil.Process().memory_info().rss) if device == "cpu" else 0
    return int(_SHARE * (free_memory(device) + held))


def need_space(folder: Path, needed: int) -> None:
    """Raises WriteError E5010 where a disk has less than `needed` bytes left. The folder may be one that is yet to be made."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise WriteError("E5010", path=folder, needed=in_words(needed), free=in_words(free))


def in_words(size: int) -> str:
    """Bytes for an eye."""
    return f"{size / (1 << 30):,.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):,.0f} MiB"


@dataclass(frozen=True)
class Room:
    """The plan of a training on this machine."""

    plan: MemoryPlan
    there: int
    """Bytes that the process may take in all."""
    wanted: int
    """`micro_tokens` as the settings have it ..."""
    asked_peak: int
    """... and the peak with them."""
    by_loss: bool = False
    """Whether there is no room to put weights together that are cut over processes, so that dev cannot be answered while training."""

    @property
    def ceiling(self) -> Ceiling | None:
        """Fewer tokens at once, where those of the settings would not fit."""
        if self.plan.micro_tokens >= self.wanted:
            return None
        gib = float(1 << 30)
        planned = {"needed_gib": round(self.asked_peak / gib, 2), "there_gib": round(self.there / gib, 2)}
        note = {"kind": "planned_memory", **planned}
        return Ceiling(self.plan.micro_tokens, note)

    @property
    def facts(self) -> dict[str, Any]:
        return {"memory_plan": describe(self.plan), "memory_there_gib": round(self.there / (1 << 30), 3)}


def look_around(
    sizes: Sizes,
    settings: TrainSettings,
    rows: RowTokens,
    dev: Scoring | None,
    folder: Path,
    *,
    libraries: int | None = None,
    shards: int = 1,
) -> Room:
    """Plan a training in the process that is going to do it. Raises WriteError E5010 before a disk is filled.

    What lies in `folder` already is written over in time, and counts as free.
    """
    there = memory_there(sizes.device)
    more: dict[str, Any] = {"libraries": libraries, "shards": shards}
    plan = lower_to_fit(sizes, settings, rows, dev, room=there, **more)
    by_loss = shards > 1 and dev is not None and plan.peak > there
    if by_loss and dev is not None:
        dev = replace(dev, answered=False)
        plan = lower_to_fit(sizes, settings, rows, dev, room=there, **more)
    asked = plan_memory(sizes, settings, rows, dev, **more).peak
    old = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    need_space(folder, plan.disk - old)
    return Room(plan, there, settings.micro_tokens, asked, by_loss)
