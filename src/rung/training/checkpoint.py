"""Checkpoints that are complete or absent: tensors as safetensors, state as JSON, a manifest with checksums last."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.durable import aside, differing, listed, seal, sync, writing
from rung.core.errors import WriteError

if TYPE_CHECKING:
    import torch

_MANIFEST = "MANIFEST.json"
KEPT = 2
"""Complete checkpoints that stay: the newest, and the one before it in case the newest is damaged later."""


@dataclass(frozen=True)
class Checkpoint:
    state: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def save_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> Path:
    """Write `folder/step-<n>/` and then drop all but the last `KEPT`. Raises WriteError; earlier ones stay intact."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target = folder / f"step-{step:08d}"
    working = aside(target)
    try:
        with writing(target):
            working.mkdir(parents=True)
            tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
            save_file(tensors, working / "tensors.safetensors")
            (working / "state.json").write_text(json.dumps(checkpoint.state), "utf-8")
        publish(working, target)
    except SafetensorError as error:
        raise WriteError("E5001", path=target, reason=str(error)) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    for old in _complete(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def publish(working: Path, target: Path) -> None:
    """Seal a working folder and rename it into place, over what is there. Raises WriteError E5001, E5002."""
    with writing(target):
        seal(working, _MANIFEST, listed(working))
        shutil.rmtree(target, ignore_errors=True)
        working.rename(target)
        sync(target.parent)


def _sound(folder: Path) -> bool:
    try:
        return differing(folder, json.loads((folder / _MANIFEST).read_text("utf-8"))) is None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _complete(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if _sound(path))


def load_checkpoint(folder: Path, *, damaged: Callable[[str], None] = lambda name: None) -> Checkpoint | None:
    """The newest sound checkpoint; torn or damaged ones are moved to `quarantine/`, never used, and `damaged` is told their names."""
    from safetensors.torch import load_file

    for path in sorted(folder.glob("step-*"), reverse=True):
        if _sound(path):
            state = json.loads((path / "state.json").read_text("utf-8"))
            return Checkpoint(state, load_file(path / "tensors.safetensors"))
        (folder / "quarantine").mkdir(exist_ok=True)
        path.rename(folder / "quarantine" / f"{path.name}-{uuid.uuid4().hex[:6]}")
        damaged(path.name)
    return None
