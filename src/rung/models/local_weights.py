"""Reading local weights: where they lie, on which device, in which precision, checked before a byte of them is trusted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.core.errors import BackendError
from rung.core.hashing import hash_file, hash_json
from rung.core.model import WeightsRef
from rung.models.embedded import NAME as EMBEDDED
from rung.models.embedded import cache_folder
from rung.models.soft_prompt import check_soft_prompt, wear
from rung.models.template_check import check_template
from rung.models.weights_check import (
    check_adapter,
    check_weights,
)


@dataclass(frozen=True)
class Loaded:
    """A module with its tokenizer, ready to answer."""

    module: Any
    tokenizer: Any
    device: str


def device_of(device: str) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise BackendError("E3006", device=device)
    return device


def precision_of(precision: str, device: str) -> str:
    import torch

    if precision != "auto":
        return precision
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    # Emulated bf16 is slower than fp32, so it is chosen only where the processor has the instructions.
    capable = torch.cpu._is_avx512_bf16_supported() if hasattr(torch.cpu, "_is_avx512_bf16_supported") else False
    return "bf16" if capable or (torch.backends.mkldnn.is_available() and _arm_bf16()) else "fp32"


def _arm_bf16() -> bool:
    import platform

    return platform.machine() in {"arm64", "aarch64"}


def config_of(place: str, revision: str) -> Any:
    import transformers

    try:
        return transformers.AutoConfig.from_pretrained(
            place, trust_remote_code=False, **({"revision": revision} if revision else {})
        )
    except (OSError, ValueError, KeyError) as error:
        raise BackendError("E3002", name=place, reason=str(error).split("\n")[0][:300]) from error


def load(place: str, precision: str, device: str, revision: str) -> Loaded:
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32, "fp16": torch.float16}[precision]
    if Path(place).exists() and not any(Path(place).glob("*.safetensors")):
        raise BackendError("E3007", path=place)
    if Path(place).is_dir():
        check_weights(Path(place))
    tokenizer = load_tokenizer(place, revision)
    try:
        module = transformers.AutoModelForCausalLM.from_pretrained(
            place, dtype=dtype, use_safetensors=True, **_arguments(revision)
        )
    except (OSError, ValueError, KeyError) as error:
        raise BackendError("E3002", name=place, reason=str(error).split("\n")[0][:300]) from error
    # Decoding settings shipped with a model would warn about, or change, the greedy answers of every request.
    module.generation_config = transformers.GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id
    )
    return Loaded(module.to(device).eval(), tokenizer, device)


def load_tokenizer(place: str, revision: str) -> Any:
    """Raises BackendError E3002, E3008 where there is none with a chat template, and what `check_template` raises."""
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **_arguments(revision))
    except (OSError, ValueError, KeyError) as error:
        raise BackendError("E3002", name=place, reason=str(error).split("\n")[0][:300]) from error
    if not tokenizer.chat_template:
        raise BackendError("E3008", name=place)
    if Path(place).parent != cache_folder():
        check_template(str(tokenizer.chat_template), place)
    return tokenizer


def _arguments(revision: str) -> dict[str, Any]:
    return {"trust_remote_code": False, **({"revision": revision} if revision else {})}


def merge(module: Any, adapter: Path, base: str) -> Any:
    """The module with an adapter taken into its weights, or worn where it is a soft prompt."""
    adapted = adapt(module, adapter, base)
    return (wear(adapted) if adapted.active_peft_config.is_prompt_learning else adapted.merge_and_unload()).eval()


def adapt(module: Any, adapter: Path, base: str) -> Any:
    """peft's model of a module and an adapter beside its weights. Raises BackendError E3040-E3046."""
    import warnings

    from peft import PeftModel

    check_adapter(adapter, module, base)
    check_soft_prompt(adapter, module, base)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*is_gradient_checkpointing.*")
        return PeftModel.from_pretrained(module, adapter, use_safetensors=True)


def weights_of(id: str, folder: Path) -> WeightsRef | None:
    """Hash over a local folder's weight files (their names and content hashes)."""
    if not folder.is_dir():
        return None
    files = sorted(folder.glob("*.safetensors"))
    stamp = [(file.name, _file_hash(str(file), file.stat().st_size, file.stat().st_mtime_ns)) for file in files]
    return WeightsRef(path=id if id == EMBEDDED else os.fspath(folder), sha256=hash_json(stamp, 64))


_HASHES: dict[tuple[str, int, int], str] = {}


def _file_hash(path: str, size: int, changed: int) -> str:
    key = (path, size, changed)
    if key not in _HASHES:
        _HASHES[key] = hash_file(Path(path))
    return _HASHES[key]
