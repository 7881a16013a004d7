"""Writing GGUF from a Hugging Face folder of a Llama, Qwen2 or Qwen3 model: names, rotary pairs, quantised blocks, metadata.

The layout is that of the GGUF specification, version 3. Of a Llama, llama.cpp keeps the two halves of each rotary pair side by
side where transformers keeps them apart, so the rows of q and k change places. One tensor is in memory at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rung.core.errors import UsageError
from rung.core.method import Progress, Silent
from rung.models.gguf_tokenizer import GgufTokenizer, read_tokenizer
from rung.models.weights_check import TensorInfo, check_weights, read_header

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter

Quant = Literal["f16", "bf16", "q8_0"]
QUANTS: tuple[Quant, ...] = ("f16", "bf16", "q8_0")
_FILE_TYPE: dict[Quant, str] = {"f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
_LAYER_TENSORS = {"llama": 9, "qwen2": 12, "qwen3": 11}
"""Tensors of a layer, by llama.cpp's name of the architecture: Qwen2 has biases on q, k and v, Qwen3 norms of q and k."""
_ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}
_LARGEST_F16 = 65504.0


@dataclass(frozen=True)
class Shape:
    """The architecture and sizes of a model, from its config.json."""

    architecture: str
    """llama.cpp's name of it."""
    context: int
    hidden: int
    wide: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    epsilon: float
    theta: float
    vocabulary: int
    tied: bool


def read_shape(folder: Path) -> Shape:
    """Raises UsageError E6205 for a model that is no plain Llama, Qwen2 or Qwen3."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type") or rope.get("type") or "default"
    named = config.get("architectures") or ["?"]
    told = {
        f"its architecture is {', '.join(named)}": len(named) != 1 or named[0] not in _ARCHITECTURES,
        f"its positions are scaled ({kind})": kind != "default",
        # Those of Qwen2 belong to the architecture, and no setting names them.
        "its attention has biases": config.get("attention_bias"),
        "its attention looks back over a window only": config.get("use_sliding_window"),
        "its feed-forward layers have biases": config.get("mlp_bias"),
        f"its activation is {config.get('hidden_act')}": config.get("hidden_act") != "silu",
    }
    reason = next((what for what, wrong in told.items() if wrong), None)
    if reason:
        raise UsageError("E6205", reason=reason)
    heads = int(config["num_attention_heads"])
    return Shape(
        architecture=_ARCHITECTURES[named[0]],
        context=int(config["max_position_embeddings"]),
        hidden=int(config["hidden_size"]),
        wide=int(config["intermediate_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head=int(config.get("head_dim") or config["hidden_size"] // heads),
        epsilon=float(config["rms_norm_eps"]),
        theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
        vocabulary=int(config["vocab_size"]),
        tied=bool(config.get("tie_word_embeddings")),
    )


def write_gguf(
    folder: Path, path: Path, quant: Quant, *, name: str, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the model of `folder` as one GGUF file; returns what was written: tensors, bytes, how text is cut.

    Raises UsageError E6205, E6206 for a model or tokenizer that this does not cover, before anything is written.
    """
    import gguf

    shape = read_shape(folder)
    tokenizer = read_tokenizer(folder, shape.vocabulary)
    plan = _planned(folder, shape, quant)
    writer = gguf.GGUFWriter(path, shape.architecture)
    _write_metadata(writer, shape, tokenizer, quant, name)
    for part in plan:
        kind = part.kind
        bytes_shape = gguf.quant_shape_to_byte_shape(part.shape, kind)
        size = int(np.prod(bytes_shape))
        writer.add_tensor_info(part.name, part.shape, np.dtype(np.float32), size, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    told = progress or Silent()
    for number, (part, values) in enumerate(zip(plan, _values(folder, plan, shape), strict=True), 1):
        if part.kind == gguf.GGMLQuantizationType.F16 and float(np.abs(values).max(initial=0.0)) > _LARGEST_F16:
            raise UsageError("E6205", reason=f"{part.source} has values too large for f16; --quant bf16 holds them")
        writer.write_tensor_data(gguf.quantize(values, part.kind))
        told.update(number, len(plan), part.name)
    writer.close()
    return {"quant": quant, "tensors": len(plan), "bytes": path.stat().st_size, "pre": tokenizer.pre}


@dataclass(frozen=True)
class _Part:
    """One tensor to write."""

    name: str
    source: str
    file: Path
    shape: tuple[int, ...]
    kind: GGMLQuantizationType


def _planned(folder: Path, shape: Shape, quant: Quant) -> list[_Part]:
    import gguf

    check_weights(folder)
    places: dict[str, tuple[Path, TensorInfo]] = {
        name: (path, info) for path in sorted(folder.glob("*.safetensors")) for name, info in read_header(path).items()
    }
    if shape.tied:
        places.pop("lm_head.weight", None)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[shape.architecture.upper()], shape.layers)
    parts = []
    for source, (file, info) in places.items():
        name = names.get_name(source, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise UsageError("E6205", reason=f"it has a tensor {source[:80]}")
        parts.append(_Part(name, source, file, info.shape, _kind(info.shape, quant)))
    expected = 2 + _LAYER_TENSORS[shape.architecture] * shape.layers + (not shape.tied)
    if len(parts) != expected:
        raise UsageError("E6205", reason=f"it has {len(parts)} tensors where {expected} are expected")
    return sorted(parts, key=_order)


def _order(part: _Part) -> tuple[int, int, str]:
    layer = re.match(r"blk\.(\d+)\.", part.name)
    return (1, int(layer[1]), part.name) if layer else (0 if part.name.startswith("token_embd") else 2, 0, part.name)


def _kind(shape: tuple[int, ...], quant: Quant) -> GGMLQuantizationType:
    import gguf

    kinds = gguf.GGMLQuantizationType
    if len(shape) < 2:
        return kinds.F32
    if quant == "q8_0":
        return kinds.Q8_0 if shape[-1] % 32 == 0 else kinds.F16
    return kinds.F16 if quant == "f16" else kinds.BF16


def _values(folder: Path, plan: list[_Part], shape: Shape) -> Iterator[NDArray[np.float32]]:
    from safetensors import safe_open

    paired = {"attn_q": shape.heads, "attn_k": shape.kv_heads} if shape.architecture == "llama" else {}
    for part in plan:
        with safe_open(part.file, framework="pt") as file:
            values: NDArray[np.float32] = file.get_tensor(part.source).float().numpy()
        layer = part.name.split(".")[-2]
        if layer in paired:
            values = _side_by_side(values, paired[layer])
        yield np.ascontiguousarray(values)


def _side_by_side(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows [heads x (2 halves) x d/2] to [heads x d/2 x (2 halves)]."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def _write_metadata(writer: GGUFWriter, shape: Shape, tokenizer: GgufTokenizer, quant: Quant, name: str) -> None:
    import gguf

    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_file_type(int(gguf.LlamaFileType[_FILE_TYPE[quant]]))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.wide)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_freq_base(shape.theta)
    writer.add_rope_dimension_count(shape.head)
    if shape.head * shape.heads != shape.hidden:
        writer.add_key_length(shape.head)
        writer.add_value_length(shape.head)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(tokenizer.pre)
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types(tokenizer.types)
    writer.add_token_merges(tokenizer.merges)
    writer.add_add_space_prefix(False)
    writer.add_add_bos_token(tokenizer.begins)
    ids: Mapping[str, int | None] = {
        "bos": tokenizer.bos, "eos": tokenizer.eos, "unk": tokenizer.unknown, "pad": tokenizer.padding
    }  # fmt: skip
    for role, place in ids.items():
        if place is not None:
            getattr(writer, f"add_{role}_token_id")(place)
    if tokenizer.template:
        writer.add_chat_template(tokenizer.template)
