"""Soft prompts: trained virtual tokens before every prompt, as embeddings, or as keys and values of every layer (a prefix).

A module that wears one has it at `soft_prompt`. Its ids stand before a prompt's own, so that lengths, positions and the context count
them. Embeddings are looked up behind the vocabulary's, at ids that the head does not have; a prefix is handed over as a cache.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung.core.errors import BackendError
from rung.models.weights_check import read_header

if TYPE_CHECKING:
    import torch

_PREFIX = "PREFIX_TUNING"
_KINDS = frozenset({"PROMPT_TUNING", "P_TUNING", _PREFIX})


@dataclass(frozen=True)
class SoftPrompt:
    """Virtual tokens that stand before every prompt."""

    ids: tuple[int, ...] = ()
    cached: int = 0
    """How many of the ids only hold a place, since `cache` has their keys and values: they never go through the model."""
    cache: Callable[[int], Any] = lambda rows: None
    """A new cache for so many rows; None where nothing is cached."""


def worn(module: Any) -> SoftPrompt:
    """The soft prompt that a module wears; an empty one where there is none."""
    found: SoftPrompt = getattr(module, "soft_prompt", SoftPrompt())
    return found


def wear(adapted: Any) -> Any:
    """The base of a PEFT module with its soft prompt put on: the parameters stay PEFT's, so that training moves what answers."""
    base, config = adapted.get_base_model(), adapted.active_peft_config
    count = config.num_virtual_tokens
    if config.peft_type == _PREFIX:
        base.soft_prompt = SoftPrompt((0,) * count, count, adapted.get_prompt)
        return base
    words = base.get_input_embeddings()
    base.set_input_embeddings(_extended(words, lambda: adapted.get_prompt(1)[0]))
    base.soft_prompt = SoftPrompt(tuple(range(words.num_embeddings, words.num_embeddings + count)))
    return base


def _extended(words: Any, rows: Callable[[], torch.Tensor]) -> Any:
    """An embedding of ids from V on by `rows()`, [n, width], and of all others by `words`, [V, width]."""
    import torch

    class Extended(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = words

        @property
        def weight(self) -> Any:
            """The vocabulary's own, which a head may be tied to."""
            return self.words.weight

        def forward(self, ids: Any) -> Any:
            virtual = ids >= self.words.num_embeddings
            if not virtual.any():
                return self.words(ids)
            found = self.words(ids.masked_fill(virtual, 0))
            looked = torch.nn.functional.embedding(ids[virtual] - self.words.num_embeddings, rows())
            return found.index_put((virtual,), looked.to(found.dtype))

    return Extended()


def check_soft_prompt(adapter: Path, module: Any, base: str) -> None:
    """Compare a soft prompt with the module that it goes on; other adapters pass. Raises BackendError E3046."""
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    if config.get("peft_type") not in _KINDS:
        return
    if config["peft_type"] == _PREFIX:
        sizes = module.config
        heads = getattr(sizes, "num_key_value_heads", None) or sizes.num_attention_heads
        each = getattr(sizes, "head_dim", None) or sizes.hidden_size // sizes.num_attention_heads
        width = 2 * sizes.num_hidden_layers * heads * each
    else:
        width = module.get_input_embeddings().embedding_dim
    wanted = (config.get("num_virtual_tokens"), width)
    found = read_header(adapter / "adapter_model.safetensors").get("prompt_embeddings")
    if found is None or found.shape != wanted:
        what = f"its virtual tokens have the shape {found and found.shape}, and the base needs {wanted}"
        named = str(config.get("base_model_name_or_path") or "?")
        raise BackendError("E3046", adapter=adapter, base=named, model=base, what=what)
