"""Where a run is to be watched, as task.yaml says, and whether this installation can."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rung.config import Config
from rung.core.errors import UsageError

PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow-skinny"}
"""What pip calls the package that each needs."""


@dataclass(frozen=True)
class Targets:
    """Where the figures of a run go; '' for nowhere."""

    tensorboard: str = ""
    """A folder of event files, as it is found from the run folder."""
    mlflow: str = ""
    """Address of the server."""
    experiment: str = ""

    @property
    def named(self) -> tuple[str, ...]:
        return tuple(name for name in PACKAGES if getattr(self, name))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def targets_of(config: Config, run: Path) -> Targets:
    """Raises UsageError E1245 where a package is missing."""
    asked = config.tracking
    folder = "" if asked.tensorboard is None else os.path.relpath(config.path(asked.tensorboard), run)
    targets = Targets(folder, asked.mlflow or "", asked.experiment or config.name)
    for name in targets.named:
        if find_spec(name) is None:
            where = config.where("tracking", name)
            raise UsageError("E1245", where, name=name, package=PACKAGES[name])
    return targets
