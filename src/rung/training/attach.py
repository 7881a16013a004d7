"""What a training changes: adapters on the model's layers, all of its weights, or a soft prompt before its input."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rung.core.errors import UsageError
from rung.core.hashing import seed_from
from rung.core.model import TrainingParts
from rung.training.quantise import quantise
from rung.training.settings import TrainSettings

WEIGHTS = {"full": "model.safetensors"}
"""The file whose hash names what was trained; a PEFT adapter's otherwise."""


def attach(parts: TrainingParts, settings: TrainSettings, *, start: str = "", text: str = "") -> Any:
    """The module with what is to be trained in it, everything else frozen. Drawn anew from the settings' seed.

    `start`: the folder of an earlier training's weights, of the same kind, which are then trained further. `text`: what a
    soft prompt begins as. Raises UsageError E2461 for
    qlora without bitsandbytes, E2462 for layers that the model does not have, E2463 for a start of another kind.
    """
    import torch

    if settings.adapter == "qlora":
        quantise(parts.module)
    torch.manual_seed(seed_from(settings.seed, "lora") % (1 << 63))
    if start:
        return _begin_from(parts, settings, Path(start))
    if settings.soft:
        from rung.training.soft_prompt import attach_soft_prompt

        return attach_soft_prompt(parts, settings, text)
    if settings.adapter == "full":
        parts.module.requires_grad_(True)
        return parts.module
    return add_lora(parts, settings)


def _begin_from(parts: TrainingParts, settings: TrainSettings, start: Path) -> Any:
    whole = (start / WEIGHTS["full"]).is_file()
    kind = "full" if whole else json.loads((start / "adapter_config.json").read_text("utf-8"))["peft_type"].lower()
    # Weights of a soft prompt are saved as they answer, and no longer as they were trained.
    if kind != ("full" if settings.adapter == "full" else "lora") or settings.soft:
        raise UsageError("E2463", adapter=settings.adapter, start=kind)
    if whole:
        from safetensors.torch import load_model

        load_model(parts.module, start / WEIGHTS["full"])
        parts.module.requires_grad_(True)
        return parts.module
    from peft import PeftModel

    with quiet_peft():
        return PeftModel.from_pretrained(
            parts.module, start, is_trainable=True, autocast_adapter_dtype=False, use_safetensors=True
        )


def add_lora(parts: TrainingParts, settings: TrainSettings, task: str = "CAUSAL_LM") -> Any:
    """The module with LoRA or DoRA on its layers. `task`: peft's name of what the module is for."""
    from peft import LoraConfig, get_peft_model

    targets: Any = settings.targets
    if targets != "all-linear":
        targets = [name.strip() for name in targets.split(",") if name.strip()]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        use_dora=settings.adapter == "dora",
        task_type=task,
    )
    with quiet_peft():
        try:
            # In the base's precision: the optimiser keeps float32 copies.
            return get_peft_model(parts.module, config, autocast_adapter_dtype=False)
        except ValueError as error:
            raise UsageError("E2462", targets=settings.targets, reason=str(error).split("\n")[0][:200]) from error


@contextmanager
def quiet_peft() -> Iterator[None]:
    """Without a warning of peft's about a property that transformers is renaming."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*is_gradient_checkpointing.*")
        yield


def base_of(module: Any) -> Any:
    """The causal language model inside, adapted layers in place."""
    return module.get_base_model() if hasattr(module, "get_base_model") else module


def spare_activations(module: Any) -> None:
    """Compute activations twice instead of keeping them."""
    base = base_of(module)
    how = {"use_reentrant": False}
    if hasattr(base, "activation_checkpointing_enable"):
        base.activation_checkpointing_enable(activation_checkpointing_kwargs=how)
    else:
        # The name it had before transformers 5.20.
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)
    base.enable_input_require_grads()


def add_noise(module: Any, alpha: float, length: float) -> None:
    """Uniform noise of alpha / sqrt(length x width) on the input embeddings while training (NEFTune: Jain et al. 2023, arXiv 2310.05914).

    `length`: tokens of a usual row.
    """
    import torch

    def noisy(layer: Any, _: Any, out: Any) -> Any:
        if not (layer.training and torch.is_grad_enabled()):
            return out
        reach = alpha / math.sqrt(length * out.shape[-1])
        return out + torch.empty_like(out).uniform_(-reach, reach)

    base_of(module).get_input_embeddings().register_forward_hook(noisy)


def save_trained(
    module: Any, parts: TrainingParts, settings: TrainSettings, folder: Path, state: dict[str, Any] | None = None
) -> None:
    """Write what was trained as its own libraries read it: a PEFT folder, or a whole model with its tokenizer.

    `state`: the tensors to write, where they are not the module's own.
    """
    module.save_pretrained(folder, **({} if state is None else {"state_dict": state}))
    if settings.adapter == "full":
        parts.extra["tokenizer"].save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)


def weights_file(settings: TrainSettings) -> str:
    return WEIGHTS.get(settings.adapter, "adapter_model.safetensors")


def slot_kind(settings: TrainSettings) -> str:
    """`AdapterSlot.kind` of what these settings train."""
    return {"full": "full", "prompt": "soft", "p_tuning": "soft", "prefix": "prefix"}.get(settings.adapter, "lora")
