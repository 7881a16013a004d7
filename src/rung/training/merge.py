"""Score a module as it will be served: adapter merged for a while, then everything put back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from rung.training.attach import base_of
from rung.training.quantise import is_quantised


@contextmanager
def merged(module: Any) -> Iterator[Any]:
    """Yield the base model with plain linear layers in place of the adapted ones: each weight with its update added.

    The adapted layers are set aside rather than merged in place, since taking the update off again would change a bf16 base a
    little each time, and since their wrappers keep far more memory while they answer. Whoever gets the base may replace linear
    layers in it: all of them are put back.
    """
    import torch
    from peft.tuners.lora import LoraLayer

    base, was_training = base_of(module), module.training
    places = [
        (*_place(base, name), layer)
        for name, layer in base.named_modules()
        if isinstance(layer, LoraLayer) or type(layer) is torch.nn.Linear
    ]
    adapted = [place for place in places if isinstance(place[2], LoraLayer)]
    inside = {id(part) for *_, layer in adapted for part in cast(Any, layer).modules() if part is not layer}
    # A 4-bit base is there because the whole one has no room: its adapters answer as they learn.
    adapted = [place for place in adapted if not is_quantised(place[2])]
    places = [place for place in places if id(place[2]) not in inside]
    module.eval()
    with torch.no_grad():
        for parent, attribute, layer in adapted:
            setattr(parent, attribute, _plain(layer))
    try:
        yield base
    finally:
        for parent, attribute, layer in places:
            setattr(parent, attribute, layer)
        module.train(was_training)


def _place(root: Any, name: str) -> tuple[Any, str]:
    path, _, attribute = name.rpartition(".")
    return root.get_submodule(path) if path else root, attribute


def _plain(layer: Any) -> Any:
    """The linear layer that `layer` becomes when its adapter is merged."""
    import torch

    old = layer.get_base_layer()
    plain = torch.nn.Linear(old.in_features, old.out_features, bias=old.bias is not None, device="meta")
    weight = old.weight.data
    for adapter in layer.active_adapters:
        variant = layer.lora_variant.get(adapter)
        weight = variant.merge_safe(layer, adapter, weight) if variant else weight + layer.get_delta_weight(adapter)
    plain.weight = torch.nn.Parameter(weight, requires_grad=False)
    plain.bias = old.bias
    return plain.eval()
