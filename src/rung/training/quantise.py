"""A 4-bit base for an adapter to learn on: linear layers as NF4 by bitsandbytes (QLoRA: Dettmers et al. 2023, arXiv 2305.14314)."""

from __future__ import annotations

import importlib.util
from typing import Any

from rung.core.errors import UsageError


def quantise(module: Any) -> Any:
    """Replace the linear layers of a causal language model in place, all but its output layer; on a CPU as on a GPU.

    Weights take 4.1 bits each; products are computed in the precision that the layers had. Raises UsageError E2461 without
    bitsandbytes.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UsageError("E2461")
    import bitsandbytes
    import torch

    head = module.get_output_embeddings()
    for name, layer in list(module.named_modules()):
        if type(layer) is not torch.nn.Linear or layer is head:
            continue
        weight = layer.weight.data
        small = bitsandbytes.nn.Linear4bit(
            layer.in_features,
            layer.out_features,
            bias=False,
            compute_dtype=weight.dtype,
            quant_type="nf4",
            device="meta",
        )
        small.weight = bitsandbytes.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", module=small)
        small.bias = layer.bias
        # A layout of the package's own for answering on a CPU, which training does not go on from and small layers break.
        small.support_avx512bf16_for_cpu = False
        parent, _, attribute = name.rpartition(".")
        setattr(module.get_submodule(parent), attribute, small.to(weight.device))
    # By this name peft knows which kind of adapter goes on the layers.
    module.is_loaded_in_4bit = True
    return module


def is_quantised(layer: Any) -> bool:
    """Whether the layer under an adapter is one of these."""
    return hasattr(layer.get_base_layer().weight, "quant_state")
