"""LoRA training beside TRL's SFTTrainer and LLaMA-Factory with their defaults: same rows, order, adapter, steps and learning rates.

`ratio_trl`, `ratio_llamafactory`: real (not padding) tokens per second, ours over theirs, median over interleaved rounds, each side in a
process of its own, the whole of `train()` timed. Rows are the question task of examples/tenants-desk, tokenised once for all.
`fraction_of_peak`: of the machine's own matrix rate, for every real token and for every token that went through the model: a prefix
that rows share goes through it once. LLaMA-Factory needs other versions: RUNG_LLAMAFACTORY_PYTHON is a Python that has it; without
one its side is left out.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import ROOT, finish, median, say

PAIRS = int(os.environ.get("PAIRS", "5"))
ROWS, BATCH, DEV = 40, 8, 48
RATE = 5e-4
FLOPS_PER_TOKEN = 4 * 106_187_328 + 6 * 4_884_480
"""Forward and activation gradients of the frozen linear layers, forward and both gradients of the adapter; logits, attention and
recomputation are not counted, so the fraction of the peak is on the low side."""
LLAMAFACTORY = "RUNG_LLAMAFACTORY_PYTHON"


def settings_of():
    """What all sides train with."""
    from rung.training.settings import TrainSettings

    return TrainSettings(epochs=1, batch_size=BATCH, learning_rate=RATE, warmup=0.0, patience=0, seed=3)


def objective_on(module, train, dev):
    from rung.training.attach import base_of
    from rung.training.forward import Forward
    from rung.training.objective import TargetLoss

    return TargetLoss(Forward(base_of(module)), train, dev, settings_of())


def in_order(train):
    """The rows as one epoch of ours takes them."""
    from rung.training.batches import epoch_batches

    return [train[i] for batch in epoch_batches([row.length for row in train], BATCH, seed=3, epoch=0) for i in batch]


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

    from rung.training.attach import attach
    from rung.training.loop import Loop

    model, train, dev = token_rows()
    settings = settings_of()
    module = attach(model.training_parts(), settings)
    objective = objective_on(module, train, dev)
    split, processed = objective.parts, []

    def counted(batch, tokens):
        parts = split(batch, tokens)
        processed.extend(objective._forward.tokens([train[i] for i in part]) for part in parts)
        return parts

    objective.parts = counted
    loop = Loop(module, objective, settings)
    started = time.perf_counter()
    result = loop.run()
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "tokens": loop.progress.tokens,
        "processed": sum(processed),
        "steps": result.step,
        "dev_loss": objective.dev_loss(),
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

    _, train, dev = token_rows()
    settings, rows = settings_of(), in_order(train)
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
    with torch.autocast("cpu", dtype=torch.bfloat16):
        dev_loss = objective_on(trainer.model, train, dev).dev_loss()
    tokens = sum(row.length for row in rows)
    return {"seconds": seconds, "tokens": tokens, "steps": done.global_step, "dev_loss": dev_loss}


def llamafactory() -> dict:
    """Its own process is timed; its adapter is judged here, by the loss on dev that judges the others."""
    from peft import PeftModel

    from rung.models.embedded import embedded_folder

    model, train, dev = token_rows()
    tokenizer = model.training_parts().extra["tokenizer"]
    rows = in_order(train)
    texts = [[tokenizer.decode(ids) for ids in (row.prompt, row.target)] for row in rows]
    settings = settings_of()
    with tempfile.TemporaryDirectory() as folder:
        asked = {"model": str(embedded_folder()), "folder": folder, "rows": texts, "batch": BATCH, "rate": RATE}
        asked |= {"rank": settings.rank, "alpha": settings.alpha}
        done = subprocess.run(
            [os.environ[LLAMAFACTORY], str(Path(__file__).with_name("llamafactory_peer.py"))],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            check=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1"},
        )
        found = json.loads(done.stdout.decode().strip().split("\n")[-1])
        assert found["tokens"] == sum(row.length for row in rows), "its template gives other tokens"
        adapted = PeftModel.from_pretrained(model.training_parts().module, Path(folder) / "out", use_safetensors=True)
        return found | {"dev_loss": objective_on(adapted, train, dev).dev_loss()}


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
    sides = ["ours", "trl"]
    if os.environ.get(LLAMAFACTORY):
        sides.append("llamafactory")
    else:
        say(f"LLaMA-Factory is left out: {LLAMAFACTORY} names no Python that has it")
    best = child("peak")["flops"]
    say(f"bf16 matrix peak {best / 1e9:.0f} GFLOP/s")
    runs: dict[str, list[dict]] = {side: [] for side in sides}
    for number in range(PAIRS):
        for side in sides:
            found = child(side)
            assert (found["steps"], found["tokens"]) == tuple(
                (runs["ours"] or [found])[0][k] for k in ("steps", "tokens")
            )
            found["speed"] = found["tokens"] / found["seconds"]
            runs[side].append(found)
            say(
                f"round {number + 1}/{PAIRS}: {side:<12} {found['speed']:.0f} tokens/s, dev loss {found['dev_loss']:.4f}, "
                f"peak {found['peak_gib']:.2f} GiB"
            )
    mine = runs["ours"]
    figures: dict[str, object] = {}
    for side in sides[1:]:
        ratios = [own["speed"] / other["speed"] for own, other in zip(mine, runs[side], strict=True)]
        figures |= {
            f"ratio_{side}": round(median(ratios), 2),
            f"ratio_{side}_low": round(min(ratios), 2),
            f"ratio_{side}_high": round(max(ratios), 2),
            f"{side}_tokens_per_second": round(median([run["speed"] for run in runs[side]]), 1),
            f"{side}_dev_loss": round(runs[side][0]["dev_loss"], 4),
            f"{side}_peak_gib": round(median([run["peak_gib"] for run in runs[side]]), 2),
        }
    gaps = [abs(own["dev_loss"] / other["dev_loss"] - 1) for own, other in zip(mine, runs["trl"], strict=True)]
    speed = median([run["speed"] for run in mine])
    through = median([run["processed"] / run["seconds"] for run in mine])
    finish(
        "training",
        {"pairs": PAIRS, "rows": ROWS, "tokens": mine[0]["tokens"], "steps": mine[0]["steps"]},
        **figures,
        tokens_per_second=round(speed, 1),
        dev_loss_gap=round(max(gaps), 5),
        dev_loss=round(mine[0]["dev_loss"], 4),
        fraction_of_peak=round(speed * FLOPS_PER_TOKEN / best, 4),
        fraction_of_peak_processed=round(through * FLOPS_PER_TOKEN / best, 4),
        matrix_peak_gflops=round(best / 1e9, 1),
        peak_gib=round(median([run["peak_gib"] for run in mine]), 2),
        threads=mine[0]["threads"],
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        found = {"ours": ours, "trl": trl, "llamafactory": llamafactory, "peak": peak}[sys.argv[1]]()
        found.setdefault("peak_gib", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20))
        print(json.dumps(found))
    else:
        main()
