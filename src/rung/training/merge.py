"""Score a module as it will be served: adapter merged for a while, base weights put back bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def merged(module: Any) -> Iterator[Any]:
    """Yield the base model with the adapter merged in.

    Unmerging by subtraction would change a bf16 base a little each time, so the weights are kept and restored.
    """
    import torch
    from peft.tuners.lora import LoraLayer

    layers = [layer for layer in module.modules() if isinstance(layer, LoraLayer)]
    kept = [layer.get_base_layer().weight.data for layer in layers]
    was_training = module.training
    module.eval()
    with torch.no_grad():
        for layer, weight in zip(layers, kept, strict=True):
            layer.get_base_layer().weight.data = weight.clone()
            layer.merge()
    try:
        yield module.get_base_model()
    finally:
        for layer, weight in zip(layers, kept, strict=True):
            layer.get_base_layer().weight.data = weight
            layer.merged_adapters.clear()
        module.train(was_training)
