"""What is looked at before weights are loaded: files that are what they say, sizes that fit this machine, an adapter for this base.

Nothing here unpickles, runs a file's code, or allocates what a file claims to need. The layout of a safetensors file: eight bytes
with the length of the header, a JSON header of tensors {dtype, shape, data_offsets}, and the tensors' bytes without a gap.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import BackendError

_LONGEST_HEADER = 100_000_000
"""Bytes; the limit that the safetensors library sets too."""
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8, "F4": 4,
    "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64,
    "F64": 64, "I64": 64, "U64": 64,
}  # fmt: skip
_MAGIC = {b"PK\x03\x04": "a zip archive, as torch.save writes it", b"\x1f\x8b": "gzip", b"GGUF": "GGUF"}
_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}
_MOST = 1 << 40
"""No size in a model's configuration is larger."""


@dataclass(frozen=True)
class TensorInfo:
    """What a header says of one tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, TensorInfo]:
    """The tensors of a safetensors file by name, after its header has been compared with the file.

    Raises BackendError E3040 for a file whose header is not true of it, E3041 for another format under this name.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            if len(start) < 8:
                raise _bad(path, f"it has {size} bytes, too few for a header")
            length = struct.unpack("<Q", start)[0]
            if length > min(_LONGEST_HEADER, size - 8):
                _refuse_other_format(path, start)
                raise _bad(path, f"its header claims {length:,} bytes; the file has {size:,}")
            text = file.read(length)
    except OSError as error:
        raise _bad(path, error.strerror or str(error)) from error
    if not text.startswith(b"{"):
        _refuse_other_format(path, start)
        raise _bad(path, "its header is no JSON object")
    try:
        entries = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _bad(path, f"its header cannot be read: {str(error)[:120]}") from error
    entries.pop("__metadata__", None)
    found: dict[str, TensorInfo] = {}
    spans: list[tuple[int, int, str]] = []
    for name, entry in entries.items():
        found[name], span = _entry(path, name, entry)
        spans.append((*span, name))
    end = 0
    for low, high, name in sorted(spans):
        if low != end:
            fault = "overlaps the one before it" if low < end else f"begins {low - end} bytes after the one before it"
            raise _bad(path, f"the tensor {name[:80]!r} {fault}")
        end = high
    if 8 + length + end != size:
        raise _bad(path, f"its tensors end at byte {8 + length + end:,}; the file has {size:,}")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name[:80]!r} is there twice")
        found[name] = value
    return found


def _entry(path: Path, name: str, entry: Any) -> tuple[TensorInfo, tuple[int, int]]:
    shown = repr(name[:80])
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _bad(path, f"the tensor {shown} lacks dtype, shape or data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _bad(path, f"the tensor {shown} has the unknown type {str(dtype)[:40]!r}")
    if not _sizes(shape) or not _sizes(offsets) or len(offsets) != 2 or len(shape) > 32:
        raise _bad(path, f"the tensor {shown} has a shape or offsets that are no sizes")
    low, high = offsets
    if high - low != -(-math.prod(shape) * _BITS[dtype] // 8):
        raise _bad(path, f"the tensor {shown} of shape {shape} does not fill the bytes {low}-{high}")
    return TensorInfo(dtype, tuple(shape)), (low, high)


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def _refuse_other_format(path: Path, start: bytes) -> None:
    found = next((what for magic, what in _MAGIC.items() if start.startswith(magic)), None)
    if start[0] == 0x80 and start[1] <= 5:
        found = "a pickle, which can run code when it is read"
    if found:
        raise BackendError("E3041", path=path, found=found)


def _bad(path: Path, reason: str) -> BackendError:
    return BackendError("E3040", path=path, reason=reason)


def check_weights(folder: Path) -> dict[str, TensorInfo]:
    """Every tensor of a folder's safetensors files, each file compared with its header; {} where the folder has none.

    Raises BackendError E3040, E3041, and E3042 where the index names a file that is not there.
    """
    found: dict[str, TensorInfo] = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= read_header(path)
    for index in folder.glob("*.safetensors.index.json"):
        try:
            named = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
            missing = sorted(name for name in named if not _inside(folder, name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _bad(index, f"{type(error).__name__}: {error}") from error
        if missing:
            raise BackendError("E3042", path=index, n=len(missing), name=missing[0][:120])
    return found


def _inside(folder: Path, name: str) -> bool:
    return Path(name).name == name and (folder / name).is_file()


def check_config(config: Mapping[str, Any], name: str, precision: str = "fp32", device: str = "cpu") -> None:
    """Refuse a configuration that asks for its own code, names no known kind of model, or cannot fit this machine.

    Raises BackendError E3043 (`auto_map`), E3044 (`model_type`), E3045 (sizes).
    """
    from transformers import CONFIG_MAPPING

    if config.get("auto_map"):
        raise BackendError("E3043", name=name)
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        raise BackendError("E3044", name=name, kind=str(kind)[:80])
    inner = config.get("text_config")
    needed = estimate_parameters(inner if isinstance(inner, Mapping) else config, name) * _BYTES.get(precision, 2)
    there = _memory(device)
    if needed > there:
        raise BackendError("E3045", name=name, needed=f"{needed / 2**30:,.1f}", there=f"{there / 2**30:,.1f}")


def check_config_file(folder: Path, precision: str = "fp32", device: str = "cpu") -> None:
    """The same for a folder's config.json; raises E3002 where it is no JSON object."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BackendError("E3002", name=folder, reason=f"config.json: {str(error)[:200]}") from error
    if not isinstance(config, dict):
        raise BackendError("E3002", name=folder, reason="config.json is no JSON object")
    check_config(config, str(folder), precision, device)


def check_same_kind(folder: Path, base: Mapping[str, Any], name: str) -> None:
    """Compare a whole set of tuned weights with the model that they were tuned from. Raises BackendError E3046."""
    own = json.loads((folder / "config.json").read_text("utf-8"))
    for key in ("model_type", "vocab_size", "hidden_size", "num_hidden_layers"):
        if own.get(key) != base.get(key):
            what = f"{key} is {str(base.get(key))[:40]} in the model and {str(own.get(key))[:40]} in the tuned weights"
            raise BackendError("E3046", adapter=folder, base=name, model=name, what=what)


def estimate_parameters(config: Mapping[str, Any], name: str = "") -> int:
    """Parameters of a decoder of these sizes: embeddings, and for each layer attention and a gated feed-forward network.

    Mixtures of experts count every expert. Raises BackendError E3045 for a size that is no size.
    """

    def size(*keys: str, default: int = 0) -> int:
        value = next((config[key] for key in keys if config.get(key) is not None), default)
        if type(value) is not int or not 0 <= value < _MOST:
            key = next(key for key in keys if config.get(key) is not None)
            raise BackendError("E3045", name=f"{name} ({key}: {str(value)[:40]})", needed="?", there="?")
        return value

    hidden = size("hidden_size", "n_embd", "d_model")
    layers = size("num_hidden_layers", "n_layer", "num_layers")
    heads = size("num_attention_heads", "n_head", default=1) or 1
    head = size("head_dim", default=hidden // heads)
    kv = size("num_key_value_heads", default=heads)
    wide = size("intermediate_size", "n_inner", "ffn_dim", default=4 * hidden)
    experts = max(1, size("num_local_experts", "num_experts", "n_routed_experts"))
    if experts > 1:
        wide = size("moe_intermediate_size", default=wide)
    words = size("vocab_size") * hidden
    attention = hidden * head * (2 * heads + 2 * kv)
    tied = bool(config.get("tie_word_embeddings", False))
    return words * (1 if tied else 2) + layers * (attention + 3 * hidden * wide * experts)


def _memory(device: str) -> int:
    """Bytes that a model on this device can have at most."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    return int(psutil.virtual_memory().total)


def check_adapter(adapter: Path, module: Any, base: str) -> None:
    """Compare a LoRA adapter with the module that it goes on: ranks with its own configuration, widths with the layers.

    Raises BackendError E3040, E3041 for a damaged file, E3046 with both sides where they do not fit each other.
    """
    tensors = read_header(adapter / "adapter_model.safetensors")
    try:
        config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        kind, rank = str(config.get("peft_type", "")), config.get("r")
        ranks = {rank, *(config.get("rank_pattern") or {}).values()}
        named = str(config.get("base_model_name_or_path") or "?")
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise _bad(adapter / "adapter_config.json", str(error)[:200]) from error
    if config.get("auto_mapping"):
        raise BackendError("E3043", name=adapter)
    if kind != "LORA":
        return

    def differs(what: str) -> BackendError:
        return BackendError("E3046", adapter=adapter, base=named, model=base, what=what)

    layers = dict(module.named_modules())
    for name, tensor in tensors.items():
        layer, mark, part = name.removeprefix("base_model.model.").partition(".lora_")
        if not mark or part not in {"A.weight", "B.weight"}:
            continue
        weight = getattr(layers.get(layer), "weight", None)
        if weight is None or weight.dim() != 2:
            raise differs(f"the base has no layer {layer[:100]}")
        wanted, own = (weight.shape[1], tensor.shape[0]) if part[0] == "A" else (weight.shape[0], tensor.shape[-1])
        across = tensor.shape[-1] if part[0] == "A" else tensor.shape[0]
        if across != wanted:
            raise differs(f"{layer[:100]} is {wanted} wide in the base and {across} in the adapter")
        if own not in ranks:
            raise differs(f"{layer[:100]} has rank {own}, and adapter_config.json says {rank}")
