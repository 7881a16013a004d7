"""A causal language model of a few thousand weights, for tests of training."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from rung.training.batches import TokenRow

VOCABULARY = 64


def tiny_llama(*, seed: int = 0, dtype: str = "float32", **changes: Any) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    settings = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
        **changes,
    }
    return LlamaForCausalLM(LlamaConfig(**settings)).to(getattr(torch, dtype))


def tiny_parts(**changes: Any) -> Any:
    """What `attach` needs of a backend's TrainingParts."""
    return SimpleNamespace(module=tiny_llama(**changes), device="cpu", extra={})


def easy_rows(n: int, *, seed: int = 0, prefix: tuple[int, ...] = (1, 2, 3, 4)) -> list[TokenRow]:
    """Rows that can be learned: the first token behind the prefix says which of two answers is right."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        middle = rng.integers(8, VOCABULARY, size=int(rng.integers(2, 9))).tolist()
        rows.append(TokenRow([*prefix, *middle], [7 if middle[0] < 36 else 6, 5, 0]))
    return rows
