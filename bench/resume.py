"""kill -9 at random moments of a training: started again, it must end with the weights of one that was never killed, bit for bit.

`kills`: how many of the processes were killed while they worked; `identical`: how many of those trainings ended with the same file of
weights as the one that was left alone. Moments are drawn evenly over the whole life of a training process, after its start-up: steps,
scoring of dev, checkpoints and the export of the weights. The embedded model, the question task of examples/tenants-desk.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import ROOT, finish, say

KILLS = 20
ROWS, DEV = 24, 8
SETTINGS = {
    "rank": 8,
    "dropout": 0.05,
    "batch_size": 4,
    "epochs": 2.0,
    "evaluations": 3,
    "patience": 0,
    "save_steps": 3,
    "seed": 5,
}


def write_job(folder: Path) -> None:
    from rung.core.answer import Opened
    from rung.experiment.plan import fit_data
    from rung.experiment.setup import prepare
    from rung.methods.slots import new_candidate, prompt_slot
    from rung.models.transformers_local import TransformersModel
    from rung.training.rows import render_rows, write_rows
    from rung.training.settings import TrainSettings
    from rung.training.work import Job

    prepared = prepare(ROOT / "examples" / "tenants-desk" / "task.yaml")
    model = TransformersModel()
    fit = fit_data(prepared, folder, folder, "fine_tune")
    candidate = new_candidate(fit, model, "fine_tune", prompt_slot(fit.task, layout="compact"))
    opened = Opened(candidate, model)
    write_rows(folder / "rows.jsonl", render_rows(opened, fit.train[:ROWS]))
    write_rows(folder / "dev.jsonl", render_rows(opened, fit.dev[:DEV]))
    job = Job(model.ref, candidate, fit.task, TrainSettings(**SETTINGS))
    (folder / "job.json").write_text(json.dumps(job.to_json()), "utf-8")


def begin(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "rung.training.runner", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        start_new_session=True,
    )


def to_the_end(folder: Path) -> tuple[float, float]:
    """Seconds until the first step was reported, and until the process ended."""
    started = time.monotonic()
    process = begin(folder)
    assert process.stdout is not None
    process.stdout.readline()
    first = time.monotonic() - started
    process.stdout.read()
    if process.wait() != 0:
        raise SystemExit(f"the training ended with {process.returncode}")
    return first, time.monotonic() - started


def killed(folder: Path, after: float) -> bool:
    """Start, kill after so many seconds of work; whether it was still working then."""
    process = begin(folder)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.stdout.read()
    process.wait()
    return alive


def weights(folder: Path) -> str:
    from rung.core.hashing import hash_file

    return hash_file(folder / "adapter" / "adapter_model.safetensors")


def clear(folder: Path) -> None:
    import shutil

    for name in ("adapter", ".adapter", "checkpoints"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "result.json").unlink(missing_ok=True)


def main() -> None:
    rng = np.random.default_rng(20)
    kills = identical = torn = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_job(folder)
        first, whole = to_the_end(folder)
        expected = weights(folder)
        steps = json.loads((folder / "result.json").read_text("utf-8"))["step"]
        say(f"left alone: {steps} steps, {whole:.1f} s, {first:.1f} s of it before the first step was done")
        while kills < KILLS:
            clear(folder)
            moment = float(rng.uniform(0, whole - first))
            if not killed(folder, moment):
                continue
            kills += 1
            partial = (
                [path.name for path in (folder / "checkpoints").glob(".*")] if (folder / "checkpoints").exists() else []
            )
            torn += bool(partial)
            to_the_end(folder)
            same = weights(folder) == expected
            identical += same
            say(f"kill {kills}/{KILLS} after {moment:.1f} s: {'identical' if same else 'DIFFERENT'}")
    finish(
        "resume",
        {"rows": ROWS, "steps": steps},
        kills=kills,
        identical=identical,
        torn_checkpoints_met=torn,
        seconds_of_one=round(whole, 1),
    )
    if identical != kills:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
