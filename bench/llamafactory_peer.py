"""LLaMA-Factory's supervised LoRA training, for bench/training.py: runs in an environment that has llamafactory, not Rung.

Reads {model, folder, rows, batch, rate, rank, alpha} as JSON from stdin; a row is the text of a prompt and of its target, special tokens
written out. Leaves the adapter in `<folder>/out`, and writes what the training took.
"""

import json
import resource
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


def main() -> None:
    asked = json.load(sys.stdin)
    folder = Path(asked["folder"])
    rows = [{"instruction": prompt, "input": "", "output": target} for prompt, target in asked["rows"]]
    (folder / "rows.json").write_text(json.dumps(rows), "utf-8")
    (folder / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": "rows.json"}}), "utf-8")
    # Its progress goes to stdout; ours to talk to is kept apart.
    out, sys.stdout = sys.stdout, sys.stderr

    # It imports torchaudio for sound, which no row has; builds of that need CUDA.
    sys.modules["torchaudio"] = sound = ModuleType("torchaudio")
    sound.__spec__ = ModuleSpec("torchaudio", None)
    from llamafactory.train.tuner import run_exp
    from transformers import TrainerCallback

    seen = {}

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, train_dataloader=None, **_):
            seen["tokens"] = sum(len(row["input_ids"]) for row in train_dataloader.dataset)

        def on_train_end(self, args, state, control, **_):
            seen["steps"] = state.global_step

    run_exp(
        {
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": asked["model"],
            "dataset": "rows",
            "dataset_dir": str(folder),
            # The rows are rendered already.
            "template": "empty",
            "finetuning_type": "lora",
            "lora_rank": asked["rank"],
            "lora_alpha": asked["alpha"],
            "lora_target": "all",
            "per_device_train_batch_size": asked["batch"],
            "learning_rate": asked["rate"],
            "lr_scheduler_type": "linear",
            "num_train_epochs": 1,
            "disable_shuffling": True,
            "bf16": True,
            "use_cpu": True,
            "report_to": "none",
            "save_strategy": "no",
            "logging_steps": 1000,
            "disable_tqdm": True,
            "output_dir": str(folder / "out"),
        },
        [Look()],
    )
    took = json.loads((folder / "out" / "train_results.json").read_text("utf-8"))
    found = {"seconds": took["train_runtime"], **seen}
    found["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    print(json.dumps(found), file=out)


if __name__ == "__main__":
    main()
