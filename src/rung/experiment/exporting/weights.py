"""Trained weights in Hugging Face's layout: merged into the model, and as a PEFT folder that names its base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from rung.core.durable import write_json
from rung.core.registry import find
from rung.experiment.exporting.subject import Subject
from rung.models.embedded import NAME as EMBEDDED

ADAPTER = "adapter"
_BASES = {EMBEDDED: "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""Where a model that Rung brings along lives for everybody else."""
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM's --max-lora-rank takes; its default is 16 (vllm/config/lora.py, LoRAConfig)."""
_VLLM_DEFAULT_RANK = 16
_VLLM_UNKNOWN = (
    "alora_invocation_tokens", "layer_replication", "trainable_token_indices", "use_bdlora", "use_qalora"
)  # fmt: skip
_VLLM_STARTS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
"""Ways to begin a LoRA that leave the base's weights as they were."""


def write_merged(subject: Subject, folder: Path) -> None:
    """The candidate's model, adapter merged in at the precision it answered in: weights, configuration, tokenizer, template."""
    model = find("model", subject.candidate.model.kind).open(
        subject.candidate.model, adapter=subject.slot, folder=subject.folder
    )
    try:
        model.save(folder)
    finally:
        model.release()
    config = json.loads((folder / "config.json").read_text("utf-8"))
    # Where the base lay on this machine is nobody's business.
    for name in ("_name_or_path", "_model_name_or_path"):
        config.pop(name, None)
    write_json(folder / "config.json", config)


def base_name(subject: Subject) -> str:
    """The base by the name that others load it under."""
    return _BASES.get(subject.candidate.model.id, subject.candidate.model.id)


def base_title(subject: Subject) -> str:
    """The base's name for people: of a folder its last part, and not where it lay on this machine."""
    name = base_name(subject)
    return Path(name).name if Path(name).is_dir() else name


def write_adapter(subject: Subject, folder: Path) -> None:
    """The PEFT folder: the trained weights byte for byte, and their configuration with the base's name and revision."""
    folder.mkdir()
    for path in sorted(subject.adapter.iterdir()):
        if path.is_file() and path.suffix == ".safetensors":
            shutil.copyfile(path, folder / path.name)
    config = subject.adapter_config
    config["base_model_name_or_path"] = base_name(subject)
    config["revision"] = subject.candidate.model.revision or None
    write_json(folder / "adapter_config.json", config)


def vllm_notes(config: dict[str, Any]) -> list[str]:
    """What vLLM needs or refuses for this adapter (vllm/lora/peft_helper.py, 0.33), as codes; the merged weights need none of it."""
    rank = largest_rank(config)
    notes = []
    if config.get("modules_to_save"):
        notes.append("vllm_modules_to_save")
    if config.get("use_dora"):
        notes.append("vllm_dora")
    if config.get("bias", "none") != "none" or config.get("lora_bias"):
        notes.append("vllm_bias")
    if vllm_unknown(config):
        notes.append("vllm_unknown")
    if rank > VLLM_RANKS[-1]:
        notes.append("vllm_rank_too_large")
    elif rank > _VLLM_DEFAULT_RANK:
        notes.append("vllm_rank")
    return notes


def vllm_unknown(config: dict[str, Any]) -> list[str]:
    """The settings of an adapter's configuration that vLLM does not serve."""
    start = config.get("init_lora_weights", True)
    changed_base = isinstance(start, str) and start.lower() not in _VLLM_STARTS
    return [name for name in _VLLM_UNKNOWN if config.get(name)] + ["init_lora_weights"] * changed_base


def largest_rank(config: dict[str, Any]) -> int:
    return max([int(config.get("r") or 0), *(int(rank) for rank in (config.get("rank_pattern") or {}).values())])


def vllm_rank(config: dict[str, Any]) -> int:
    """The smallest --max-lora-rank that holds the adapter."""
    return next((rank for rank in VLLM_RANKS if rank >= largest_rank(config)), VLLM_RANKS[-1])
