"""The files that OpenVINO answers from: a GGUF of the merged weights and the graph read from it, made once and kept in the cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from rung.core.durable import writing
from rung.core.errors import BackendError, UsageError
from rung.core.hashing import hash_file, hash_json
from rung.models.embedded import cache_folder
from rung.models.gguf_file import write_gguf
from rung.models.local_weights import precision_of
from rung.models.made_once import made_once
from rung.models.openvino_trial import try_file

Precision = Literal["q8_0", "f16"]
GGUF = "model.gguf"
_FORMAT = 1
_MERGED = "merged"
_SETTINGS = ("config.json", "tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Wanted:
    """What the files are made of."""

    id: str
    revision: str
    weights: str
    """SHA-256 of the base's weights; '' where only the id and the revision tell which they are."""
    settings: str
    """SHA-256 of the base's configuration and tokenizer; '' as above."""
    adapter: str
    """SHA-256 of the adapter that is merged in; '' for none."""
    precision: str
    arithmetic: str
    """bf16 or f32: what the processor counts in, whatever the weights are kept in."""

    @property
    def properties(self) -> dict[str, str]:
        return {"INFERENCE_PRECISION_HINT": self.arithmetic}

    @property
    def folder(self) -> Path:
        base = [self.weights, self.settings] if self.weights else [self.id, self.revision]
        stamp = [_FORMAT, base, self.adapter, self.precision, metadata.version("gguf"), version_of_openvino()]
        return cache_folder() / f"openvino-{self.precision}-{hash_json(stamp)}"


def version_of_openvino() -> str:
    """Raises UsageError E1102 where OpenVINO GenAI is not installed."""
    if find_spec("openvino_genai") is None:
        raise UsageError("E1102", kind="model", name="openvino", package="openvino-genai", extra="openvino")
    return metadata.version("openvino-genai")


def arithmetic_here() -> str:
    """bf16 where the processor has it, else f32.

    On a single core OpenVINO 2026.4 divides by nought when it lays a graph out in bf16, and dies.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return "bf16" if cores > 1 and precision_of("auto", "cpu") == "bf16" else "f32"


def check_precision(precision: str) -> Precision:
    """Raises BackendError E3070 for a precision that is not written for OpenVINO."""
    if precision not in get_args(Precision):
        raise BackendError("E3070", value=precision, known=", ".join(get_args(Precision)))
    return precision  # type: ignore[return-value]


def settings_of(place: Path) -> str:
    """SHA-256 over what a folder says of its weights; '' for no folder."""
    found = [(name, hash_file(place / name)) for name in _SETTINGS if (place / name).is_file()]
    return hash_json(found, 64) if found else ""


def files_of(wanted: Wanted, merged: Callable[[Path], Path]) -> Path:
    """The folder with `GGUF` and `GRAPH`, made where it is not there whole.

    `merged` is handed a folder that it may write into, and gives back the one that has the weights to use, in Hugging Face's
    layout. Raises BackendError E3071 for a model that cannot be written as GGUF, E3072 where OpenVINO cannot read it, WriteError.
    """

    def make(working: Path) -> dict[str, Any]:
        path = working / GGUF
        try:
            source = merged(working / _MERGED)
            with writing(working):
                facts = write_gguf(source, path, check_precision(wanted.precision), name=wanted.id)
        except UsageError as error:
            raise BackendError("E3071", name=wanted.id, reason=error.problems[0].values.get("reason", "")) from error
        finally:
            shutil.rmtree(working / _MERGED, ignore_errors=True)
        # A file that cannot be read is never kept.
        try_file(path, wanted.properties)
        return {**facts, "made_from": {"id": wanted.id, "weights": wanted.weights, "adapter": wanted.adapter}}

    return made_once(wanted.folder, make)
