"""What a run record says of its surroundings: versions, machine, and the task file as a person would type it."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any


def shown(task_file: Path) -> str:
    """A task file as a person would type it, without this machine's layout."""
    try:
        return task_file.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return f"{task_file.resolve().parent.name}/{task_file.name}"


def versions() -> dict[str, str]:
    names = ("rung", "torch", "transformers", "peft", "usearch", "scikit-learn", "numpy", "scipy")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


def machine() -> dict[str, Any]:
    import psutil

    total = round(psutil.virtual_memory().total / (1 << 30), 1)
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": total,
    }
