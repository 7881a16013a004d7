"""One of several training processes of a test: trains the tiny model, and rank 0 writes what came of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from tiny_model import easy_rows, tiny_parts

from rung.models.soft_prompt import wear
from rung.training.attach import attach, base_of
from rung.training.forward import Forward
from rung.training.group import join
from rung.training.loop import Loop
from rung.training.merge import merged
from rung.training.objective import TargetLoss
from rung.training.settings import TrainSettings

DEV = easy_rows(6, seed=9)


def likelihood(module: Any) -> float:
    """Mean probability of dev's target tokens by the module alone, its adapter merged."""
    wanted = torch.tensor([token for row in DEV for token in row.target])
    with torch.inference_mode(), merged(module) as plain:
        forward = Forward(plain)
        with forward.attending(DEV):
            found = torch.softmax(forward(DEV), -1)
    return float(found.gather(1, wanted[:, None]).mean())


def main() -> None:
    folder, given = Path(sys.argv[1]), json.loads(sys.argv[2])
    torch.set_num_threads(1)
    stop_at, sharded = given.pop("stop_at", None), given.pop("sharded", False)
    by_loss = given.pop("by_loss", False)
    group = join(sharded=sharded)
    settings = TrainSettings(
        **{"epochs": 2, "learning_rate": 0.01, "rank": 4, "save_steps": 2, "micro_tokens": 40, "patience": 0, **given}
    )
    parts = tiny_parts()
    parts.extra["wear"] = wear
    module = attach(parts, settings)
    group.prepare(module, base_of(module))
    objective = TargetLoss(Forward(base_of(module)), easy_rows(30), DEV, settings)
    loop = Loop(module, objective, settings, score_dev=likelihood, group=group)
    loop.by_loss = by_loss
    result = loop.run(
        folder / "checkpoints", stopping=lambda: stop_at is not None and loop.progress.step >= int(stop_at)
    )
    weights = {name: group.whole(weight.detach()).sum().item() for name, weight in loop.masters.weights.items()}
    if group.rank == 0:
        curve = [
            {key: value for key, value in point.items() if key in {"step", "loss", "norm", "dev", "dev_loss"}}
            for point in result.curve
        ]
        (folder / "out.json").write_text(
            json.dumps(
                {
                    "size": group.size,
                    "stopped": result.stopped,
                    "best_step": result.best_step,
                    "notes": [note["kind"] for note in result.notes],
                    "curve": curve,
                    "weights": weights,
                }
            )
        )


if __name__ == "__main__":
    main()
