"""The sizes of a decoder, from its configuration alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.core.model import Sizes
from rung.models.weights_check import estimate_parameters

_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}


def sizes_of(config: Mapping[str, Any], precision: str, device: str) -> Sizes | None:
    """Sizes as transformers' configurations name them; None where one of them is missing. Mixtures of experts count every expert."""
    inner = config.get("text_config")
    found = inner if isinstance(inner, Mapping) else config

    def size(*names: str) -> int:
        return next((int(found[name]) for name in names if isinstance(found.get(name), int)), 0)

    hidden, layers = size("hidden_size", "n_embd", "d_model"), size("num_hidden_layers", "n_layer", "num_layers")
    heads, vocabulary = size("num_attention_heads", "n_head"), size("vocab_size")
    if not (hidden and layers and heads and vocabulary):
        return None
    return Sizes(
        parameters=estimate_parameters(found),
        layers=layers,
        hidden=hidden,
        intermediate=size("intermediate_size", "n_inner", "ffn_dim") or 4 * hidden,
        heads=heads,
        kv_heads=size("num_key_value_heads") or heads,
        head_width=size("head_dim") or hidden // heads,
        vocabulary=vocabulary,
        weight_bytes=_BYTES.get(precision, 2),
        device=device.partition(":")[0],
    )
