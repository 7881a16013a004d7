"""Linear layers with weights laid out once for the processor, for answering on a CPU.

A plain bf16 layer re-arranges its whole weight at every call, which at a few rows a call costs more than the product. The operators
are the ones that torch's own compiler emits for frozen weights.
"""

from __future__ import annotations

from typing import Any

_ROWS = 32
"""Rows a call for which the layout is chosen: those of a decoding batch."""


def pack_linears(module: Any) -> Any:
    """Replace every bf16 linear layer in place; where the operators are absent, leave the module as it is."""
    import torch

    operators = torch.ops.mkldnn
    if not (hasattr(operators, "_reorder_linear_weight") and hasattr(operators, "_linear_pointwise")):
        return module

    class PackedLinear(torch.nn.Module):
        """y = x W^T + b, with W in the processor's own layout."""

        def __init__(self, plain: Any) -> None:
            super().__init__()
            self.packed = operators._reorder_linear_weight(plain.weight.detach(), _ROWS)
            self.bias = plain.bias

        def forward(self, x: Any) -> Any:
            return operators._linear_pointwise(x, self.packed, self.bias, "none", [], "")

    for name, layer in list(module.named_modules()):
        # peft looks at the weights of an adapter that is not merged.
        if type(layer) is torch.nn.Linear and layer.weight.dtype == torch.bfloat16 and ".lora_" not in name:
            parent, _, attribute = name.rpartition(".")
            setattr(module.get_submodule(parent) if parent else module, attribute, PackedLinear(layer))
    return module
