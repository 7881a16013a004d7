"""LoRA training beside TRL's SFTTrainer with its defaults: same rows, order, adapter, steps and learning rates.

`ratio_trl`: real (not padding) tokens per second, ours over theirs, median over interleaved pairs, each side in a process of its
own, the whole of `train()` timed. Rows are the question task of examples/tenants-desk, tokenised once for both.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import ROOT, finish, median, say

PAIRS = 5
ROWS, BATCH, DEV = 40, 8, 48
RATE = 5e-4
FLOPS_PER_TOKEN = 4 * 106_187_328 + 6 * 4_884_480
"""Forward and activation gradients of the frozen linear layers, forward and both gradients of the adapter; logits, attention and
recomputation are not counted, so the fraction of the peak is on the low side."""


def token_rows():
    """(train, dev) token rows of the question task, rendered as the fine_tune rung renders them."""
    from rung.core.answer import Opened
    from rung.experiment.plan import fit_data
    from rung.experiment.setup import prepare
    from rung.methods.slots import new_candidate, prompt_slot
    from rung.models.transformers_local import TransformersModel
    from rung.training.batches import TokenRow
    from rung.training.rows import render_rows

    prepared = prepare(ROOT / "examples" / "tenants-desk" / "task.yaml")
    model = TransformersModel()
    fit = fit_data(prepared, Path(), Path(), "fine_tune")
    opened = Opened(new_candidate(fit, model, "fine_tune", prompt_slot(fit.task, layout="compact")), model)
    sides = []
    for examples, n in ((fit.train, ROWS), (fit.dev, DEV)):
        rows = [TokenRow(*model.encode(row.request, row.target)) for row in render_rows(opened, examples[:n])]
        sides.append(rows)
    return model, sides[0], sides[1]


def ours() -> dict:
    import torch

    from rung.training.sft import LoraTrainer, SftSettings, attach_lora

    model, train, dev = token_rows()
    settings = SftSettings(
        epochs=1, batch_size=BATCH, learning_rate=RATE, warmup=0.0, patience=0, seed=3, max_grad_norm=1.0
    )
    parts = model.training_parts()
    trainer = LoraTrainer(attach_lora(parts, settings), train, settings)
    started = time.perf_counter()
    result = trainer.run()
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "tokens": trainer.progress.tokens,
        "steps": result.step,
        "dev_loss": trainer.mean_loss(dev),
        "threads": torch.get_num_threads(),
    }


def trl() -> dict:
    import torch
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from rung.core.hashing import seed_from
    from rung.models.embedded import embedded_folder
    from rung.training.batches import epoch_batches
    from rung.training.sft import LoraTrainer, SftSettings

    _, train, dev = token_rows()
    settings = SftSettings(epochs=1, batch_size=BATCH, learning_rate=RATE, warmup=0.0, patience=0, seed=3)
    order = [i for batch in epoch_batches([row.length for row in train], BATCH, seed=3, epoch=0) for i in batch]
    rows = [train[i] for i in order]
    module = AutoModelForCausalLM.from_pretrained(embedded_folder())
    torch.manual_seed(seed_from(3, "lora") % (1 << 63))
    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    module = get_peft_model(module, config)
    data = Dataset.from_list(
        [
            {"input_ids": row.prompt + row.target, "completion_mask": [0] * len(row.prompt) + [1] * len(row.target)}
            for row in rows
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            output_dir=folder,
            use_cpu=True,
            completion_only_loss=True,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            learning_rate=RATE,
            train_sampling_strategy="sequential",
            report_to="none",
            save_strategy="no",
            logging_steps=1000,
            disable_tqdm=True,
        )
        trainer = SFTTrainer(
            model=module,
            args=arguments,
            train_dataset=data,
            processing_class=AutoTokenizer.from_pretrained(embedded_folder()),
        )
        started = time.perf_counter()
        done = trainer.train()
        seconds = time.perf_counter() - started
    judge = LoraTrainer(trainer.model, train, settings)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        dev_loss = judge.mean_loss(dev)
    tokens = sum(row.length for row in rows)
    return {
        "seconds": seconds,
        "tokens": tokens,
        "steps": done.global_step,
        "dev_loss": dev_loss,
        "threads": torch.get_num_threads(),
    }


def peak() -> dict:
    """The machine's bf16 matrix-product rate, in FLOP/s: the best of several 2048-cubed products."""
    import torch

    a, b = (torch.randn(2048, 2048, dtype=torch.bfloat16) for _ in range(2))
    a @ b
    best = 0.0
    for _ in range(12):
        started = time.perf_counter()
        a @ b
        best = max(best, 2 * 2048**3 / (time.perf_counter() - started))
    return {"flops": best}


def child(side: str) -> dict:
    done = subprocess.run([sys.executable, __file__, side], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.decode().strip().split("\n")[-1])


def main() -> None:
    best = child("peak")["flops"]
    say(f"bf16 matrix peak {best / 1e9:.0f} GFLOP/s")
    ratios, gaps, mine, theirs, memory = [], [], [], [], []
    for pair in range(PAIRS):
        a, b = child("ours"), child("trl")
        assert a["steps"] == b["steps"] and a["tokens"] == b["tokens"], (a, b)
        mine.append(a["tokens"] / a["seconds"])
        theirs.append(b["tokens"] / b["seconds"])
        ratios.append(mine[-1] / theirs[-1])
        gaps.append(abs(a["dev_loss"] / b["dev_loss"] - 1))
        memory.append((a["peak_gib"], b["peak_gib"]))
        say(
            f"pair {pair + 1}/{PAIRS}: ours {mine[-1]:.0f}, TRL {theirs[-1]:.0f} tokens/s, ratio {ratios[-1]:.2f}; "
            f"dev loss {a['dev_loss']:.4f} and {b['dev_loss']:.4f}; peak {a['peak_gib']:.2f} and {b['peak_gib']:.2f} GiB"
        )
    finish(
        "training",
        {"pairs": PAIRS, "rows": ROWS, "tokens": a["tokens"], "steps": a["steps"]},
        ratio_trl=round(median(ratios), 2),
        ratio_low=round(min(ratios), 2),
        ratio_high=round(max(ratios), 2),
        tokens_per_second=round(median(mine), 1),
        trl_tokens_per_second=round(median(theirs), 1),
        dev_loss_gap=round(max(gaps), 5),
        dev_loss=round(a["dev_loss"], 4),
        trl_dev_loss=round(b["dev_loss"], 4),
        fraction_of_peak=round(median(mine) * FLOPS_PER_TOKEN / best, 4),
        matrix_peak_gflops=round(best / 1e9, 1),
        peak_gib=round(median([own for own, _ in memory]), 2),
        trl_peak_gib=round(median([other for _, other in memory]), 2),
        threads=a["threads"],
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        found = {"ours": ours, "trl": trl, "peak": peak}[sys.argv[1]]()
        found["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
        print(json.dumps(found))
    else:
        main()
