"""Soft prompts to be trained: PEFT's prompt tuning, P-tuning and prefix tuning on a frozen model, begun at real tokens.

Prompt tuning: Lester et al. 2021, arXiv 2104.08691. P-tuning: Liu et al. 2021, arXiv 2103.10385. Prefix tuning: Li and Liang 2021,
arXiv 2101.00190.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rung.core.model import TrainingParts
from rung.training.attach import quiet_peft
from rung.training.settings import TrainSettings

if TYPE_CHECKING:
    import torch

_COMMON = 5000
"""Where no text is given, tokens are drawn from this many: a vocabulary begins with the ones that it needs most (Lester et al., section 3.1)."""


def attach_soft_prompt(parts: TrainingParts, settings: TrainSettings, text: str = "") -> Any:
    """The PEFT module whose base wears the soft prompt; only the prompt is trained. `text`: what it begins as.

    Draws from torch's generator.
    """
    from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model

    kinds: dict[str, Any] = {
        "prompt": PromptTuningConfig,
        "p_tuning": PromptEncoderConfig,
        "prefix": PrefixTuningConfig,
    }
    config = kinds[settings.adapter](task_type="CAUSAL_LM", num_virtual_tokens=settings.virtual_tokens)
    with quiet_peft():
        adapted = get_peft_model(parts.module, config)
    if settings.adapter != "p_tuning":
        _begin(adapted, _tokens(parts, settings.virtual_tokens, text), prefix=settings.adapter == "prefix")
    parts.extra["wear"](adapted)
    return adapted


def _tokens(parts: TrainingParts, count: int, text: str) -> torch.Tensor:
    """int64 [count]: the text's tokens, over and over; common tokens of the vocabulary where there is no text."""
    import torch

    found = parts.extra["tokenizer"](text, add_special_tokens=False)["input_ids"] if text else []
    if not found:
        return torch.randint(min(_COMMON, parts.module.get_input_embeddings().num_embeddings), (count,))
    return torch.tensor((found * -(-count // len(found)))[:count])


def _begin(adapted: Any, tokens: torch.Tensor, *, prefix: bool) -> None:
    """Give the virtual tokens the embeddings of real ones; those of a prefix the keys and values that the model computes for them."""
    import torch
    from peft.tuners.cartridge.utils import initialize_kv_prefix_from_past_key_values

    base = adapted.get_base_model()
    tokens = tokens.to(base.device)
    with torch.no_grad():
        if prefix:
            cache = base(input_ids=tokens[None], use_cache=True).past_key_values
            initialize_kv_prefix_from_past_key_values(adapted, past_key_values=cache)
        else:
            adapted.prompt_encoder["default"].embedding.weight.copy_(base.get_input_embeddings()(tokens))
