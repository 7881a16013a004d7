"""LLaMA-Factory's files: the rows that were learned as ShareGPT with dataset_info.json, and the same settings under its names.

Names as in LLaMA-Factory 0.9 (hparams/finetuning_args.py, data_args.py, model_args.py) and transformers' TrainingArguments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rung.core.durable import write_json, write_text
from rung.core.errors import UsageError
from rung.data.formats.llamafactory import LlamaFactory, add_entry, entry_for
from rung.data.record import Record, Turn
from rung.experiment.exporting.modelfile import Family
from rung.experiment.exporting.subject import Subject
from rung.experiment.exporting.weights import ADAPTER, base_name
from rung.training.settings import LEARNING_RATE

DATASET = "rung_train"
_OPTIMISERS = {
    "adamw": "adamw_torch", "adam": "adamw_torch", "adafactor": "adafactor", "rmsprop": "rmsprop", "sgd": "sgd",
    "adagrad": "adagrad",
}  # fmt: skip
_SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant_with_warmup",
    "inverse_sqrt": "inverse_sqrt",
}
_LOSSES = {"dpo": "sigmoid", "ipo": "ipo", "orpo": "orpo"}
_COPIED = {
    "batch_size": "per_device_train_batch_size",
    "epochs": "num_train_epochs",
    "warmup": "warmup_ratio",
    "weight_decay": "weight_decay",
    "max_grad_norm": "max_grad_norm",
    "beta1": "adam_beta1",
    "beta2": "adam_beta2",
    "label_smoothing": "label_smoothing_factor",
    "max_length": "cutoff_len",
    "seed": "seed",
}


def write_llama_factory(subject: Subject, folder: Path, family: Family) -> dict[str, Any]:
    """Rows, dataset_info.json, train.yaml, inference.yaml. Returns what the record names.

    Raises UsageError E6209 without kept rows, E6207 for a chat template, E6214 for a training that it does not have.
    """
    if not family.factory:
        raise UsageError("E6207", target="llama-factory", known="chatml, llama3")
    stage = _stage(subject)
    records = training_records(subject)
    said = entry_for(records)
    codec = LlamaFactory(said)
    path = folder / f"{DATASET}.json"
    write_json(path, [codec.encode(record) for record in records])
    add_entry(path, said)
    write_text(folder / "train.yaml", _yaml(train_config(subject, family, stage)))
    write_text(folder / "inference.yaml", _yaml(inference_config(subject, family)))
    return {"rows": len(records), "stage": stage, "template": family.factory}


def training_records(subject: Subject) -> list[Record]:
    """The rows of the training as dialogues, to the letter as they were learned. Raises UsageError E6209."""
    path = subject.folder / "training" / "rows.jsonl"
    if not path.is_file():
        raise UsageError("E6209", candidate=subject.id, path=subject.folder)
    return [_record(json.loads(line)) for line in path.read_text("utf-8").split("\n") if line]


def _record(row: Mapping[str, Any]) -> Record:
    messages = row["request"]["messages"]
    system = "\n".join(message["text"] for message in messages if message["role"] == "system")
    turns = [Turn(role=m["role"], content=m["text"]) for m in messages if m["role"] != "system"]
    rejected = row.get("rejected")
    worse = (rejected,) if isinstance(rejected, str) and rejected else ()
    return Record(
        id=str(row["id"]),
        system=system,
        messages=tuple(turns) if worse else (*turns, Turn(role="assistant", content=row["target"])),
        answers=(row["target"],) if worse else (),
        rejected=worse,
        liked=row.get("liked") if isinstance(row.get("liked"), bool) else None,
    )


def _stage(subject: Subject) -> str:
    parts = set(subject.candidate.method.split("+"))
    if parts & {"reinforce", "contrastive"}:
        raise UsageError("E6214", what=f"the method {subject.candidate.method}")
    if "preference" in parts:
        return "kto" if subject.settings.get("loss") == "kto" else "dpo"
    return "pt" if parts == {"pretrain"} else "sft"


def train_config(subject: Subject, family: Family, stage: str = "sft") -> dict[str, Any]:
    """train.yaml: the base, the method and every hyper-parameter that the run kept. Raises UsageError E6214."""
    settings, adapter = subject.settings, subject.adapter_config
    optimiser = settings.get("optimiser", "adamw")
    if optimiser not in _OPTIMISERS:
        raise UsageError("E6214", what=f"the optimiser {optimiser}")
    config: dict[str, Any] = {
        "model_name_or_path": base_name(subject),
        "model_revision": subject.candidate.model.revision or "main",
        "trust_remote_code": False,
        "stage": stage,
        "do_train": True,
        "finetuning_type": "full" if subject.slot.kind == "full" else "lora",
    }
    if stage == "dpo":
        loss = settings.get("loss", "dpo")
        config |= {"pref_beta": settings.get("beta", 0.1), "pref_loss": _LOSSES[loss]}
    elif stage == "kto":
        config["pref_beta"] = settings.get("beta", 0.1)
    if adapter:
        config |= {
            "lora_rank": adapter["r"],
            "lora_alpha": adapter["lora_alpha"],
            "lora_dropout": adapter["lora_dropout"],
            "lora_target": _targets(adapter["target_modules"]),
            "use_dora": bool(adapter.get("use_dora")),
            "use_rslora": bool(adapter.get("use_rslora")),
        }
    if settings.get("adapter") == "qlora":
        # Its other settings are what Rung trains with: nf4, with the scales of the blocks quantised too.
        config |= {"quantization_bit": 4, "quantization_method": "bnb"}
    config |= {"dataset": DATASET, "dataset_dir": ".", "template": family.factory, "output_dir": "output"}
    rate = settings.get("learning_rate") or LEARNING_RATE.get(settings.get("adapter", "lora"), 1e-3)
    config |= {
        "learning_rate": rate,
        "lr_scheduler_type": _SCHEDULES.get(settings.get("schedule", "linear"), "linear"),
        "optim": _OPTIMISERS[optimiser],
        "gradient_accumulation_steps": 1,
        "bf16": subject.candidate.model.precision == "bf16",
    }
    if subject.candidate.model.engine == "transformers-cpu":
        # Without it bf16 is refused where there is no GPU.
        config["use_cpu"] = True
    config |= {theirs: settings[ours] for ours, theirs in _COPIED.items() if settings.get(ours) is not None}
    if settings.get("max_steps"):
        config["max_steps"] = settings["max_steps"]
    if settings.get("neftune"):
        config["neftune_noise_alpha"] = settings["neftune"]
    return config


def inference_config(subject: Subject, family: Family) -> dict[str, Any]:
    """inference.yaml: the trained weights as they were exported."""
    if subject.slot.kind == "full":
        weights: dict[str, Any] = {"model_name_or_path": ADAPTER, "finetuning_type": "full"}
    else:
        weights = {
            "model_name_or_path": base_name(subject),
            "adapter_name_or_path": ADAPTER,
            "finetuning_type": "lora",
        }
    return {**weights, "template": family.factory, "infer_backend": "huggingface", "trust_remote_code": False}


def _targets(names: Any) -> str:
    """Layers by their last names, which LLaMA-Factory looks for in every block."""
    if not isinstance(names, list):
        return "all" if names == "all-linear" else str(names)
    return ",".join(sorted({name.rpartition(".")[2] for name in names}))


def _yaml(config: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False)
