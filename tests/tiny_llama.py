"""A tiny random Llama, or a relative of it, with a small byte-level tokenizer, a LoRA adapter for it, and a run folder whose winner wears it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from rung.core.candidate import AdapterSlot, Candidate, OutputSlot, PromptSlot
from rung.core.hashing import hash_file
from rung.core.task import Example
from rung.store.records import Cell, Outcome, Plan
from rung.store.runs import RunFolder

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LABELS = ("deposit", "repairs", "rent")
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def write_tokenizer(folder: Path, template: str = CHATML, **changes: Any) -> int:
    """A byte-level BPE tokenizer in `folder`; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = changes.get("cut") or pre_tokenizers.ByteLevel(add_prefix_space=False)
    if changes.get("normalizer"):
        tokenizer.normalizer = changes["normalizer"]
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(
        ["the deposit and the rent", "repairs of the heating 12", "Question about the rent"] * 9, trainer
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=_SPECIAL[1],
        eos_token=_SPECIAL[2],
        unk_token=_SPECIAL[0],
        pad_token=_SPECIAL[2],
    )
    fast.chat_template = template
    fast.save_pretrained(folder)
    return len(fast)


def as_qwen() -> dict[str, Any]:
    """How Qwen2 and Qwen3 cut text, for `write_tokenizer`."""
    from tokenizers import Regex, normalizers, pre_tokenizers
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    split = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return {"normalizer": normalizers.NFC(), "cut": pre_tokenizers.Sequence([split, plain])}


def write_model(folder: Path, *, template: str = CHATML, family: str = "Llama", **sizes: Any) -> Path:
    """A random Llama, Qwen2 or Qwen3 of two layers with its tokenizer, as safetensors."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    how = as_qwen() if family.startswith("Qwen") else {}
    vocabulary = -(-write_tokenizer(folder, template, **how) // 32) * 32
    values = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "initializer_range": 0.3,
    }
    torch.manual_seed(7)
    config = getattr(transformers, f"{family}Config")(vocab_size=vocabulary, **{**values, **sizes})
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    for name, weights in model.named_parameters():
        if name.endswith(".bias"):
            # They begin at nought, where nothing would show that they were lost.
            torch.nn.init.normal_(weights)
    model.save_pretrained(folder)
    return folder


def write_lora(base: Path, folder: Path, **changes: Any) -> str:
    """A random LoRA adapter on all linear layers; returns the hash of its weights."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(11)
    settings = {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": "all-linear",
        "task_type": "CAUSAL_LM",
        "init_lora_weights": False,
    }
    with warnings.catch_warnings():
        # peft still reads a property that transformers is renaming.
        warnings.filterwarnings("ignore", category=FutureWarning, message=".*is_gradient_checkpointing.*")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**{**settings, **changes}))
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    return hash_file(folder / "adapter_model.safetensors")


def write_tuned_run(
    folder: Path, *, labelled: bool = True, kind: str = "lora", family: str = "Llama", **lora: Any
) -> RunFolder:
    """A run with one tuned candidate on a tiny model, its training rows and its dev questions."""
    from rung.models.transformers_local import TransformersModel

    base = write_model(folder / "base", family=family)
    run = RunFolder(folder / "runs" / "tiny")
    slot_folder = folder / "trained"
    if kind == "full":
        sha256 = hash_file(write_model(slot_folder / "adapter", initializer_range=0.4) / "model.safetensors")
    else:
        sha256 = write_lora(base, slot_folder / "adapter", **lora)
    output = OutputSlot(choices=LABELS, constrain=True) if labelled else OutputSlot(max_tokens=6)
    candidate = Candidate(
        method="fine_tune",
        made_from={"task": "a", "train": "b", "dev": "c"},
        model=TransformersModel(str(base), precision="fp32", device="cpu").ref,
        prompt=PromptSlot(instruction="Name the topic.", fields=("question",)),
        adapter=AdapterSlot(path="adapter", sha256=sha256, base=str(base), kind=kind),
        output=output,
    )
    home = run.candidate_folder(candidate.id)
    home.parent.mkdir(parents=True)
    slot_folder.rename(home)
    (home / "candidate.json").write_text(json.dumps({"id": candidate.id, **candidate.model_dump(mode="json")}), "utf-8")
    rows = [_row(n) for n in range(6)]
    (home / "training").mkdir()
    (home / "training" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    settings = {
        "rank": 4,
        "alpha": 8.0,
        "learning_rate": 0.002,
        "batch_size": 2,
        "epochs": 3.0,
        "schedule": "cosine",
        "seed": 5,
    }
    (home / "training" / "job.json").write_text(json.dumps({"settings": settings}), "utf-8")
    run.write_run(
        {
            "id": "tiny",
            "name": "desk",
            "seed": 0,
            "task": {"name": "desk", "instruction": "Name the topic.", "language": "en"},
        }
    )
    run.write_examples(
        {
            "dev": [
                Example(f"q{n}", {"question": f"Question {n} about the {LABELS[n % 3]}"}, (LABELS[n % 3],))
                for n in range(12)
            ]
        }
    )
    cell = Cell(method="fine_tune", model=candidate.model.id, rank=40)
    run.write_plan(Plan(mode="compare", cells=(cell,), splits={"dev": 12}))
    run.write_outcome(
        Outcome(cell=cell, status="done", candidate=candidate.id, notes={"training": {"steps": 9, "best_dev": 0.5}})
    )
    return run


def _row(n: int) -> dict[str, Any]:
    turns = [{"role": "system", "text": "Name the topic."}, {"role": "user", "text": f"Row {n} {{braces}}"}]
    return {"id": f"t{n}", "request": {"messages": turns, "choices": []}, "target": LABELS[n % 3]}
