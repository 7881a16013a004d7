"""Training processes for tests of faults: one process that has loaded everything, and forks itself into each training.

Run as a script it is that process: it reads one JSON line an order from stdin and answers on stdout.
    {"folder": ..., "fault": {...}} -> {"pid": n}        {"wait": pid} -> {"code": n}
Faults: kill_at / full_at: at the n-th write, die by SIGKILL or find the disk full; slow: seconds that each step takes longer;
limit: MiB of address space that may still be taken once training begins.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.model import Message, ModelRef, Request
from rung.core.task import OutputSpec, Task
from rung.training.rows import TrainingRow, write_rows
from rung.training.settings import TrainSettings
from rung.training.work import Job

SETTINGS: dict[str, Any] = {
    "rank": 4, "dropout": 0.1, "batch_size": 4, "epochs": 3.0, "evaluations": 3, "patience": 0, "save_steps": 2, "learning_rate": 0.01,
}  # fmt: skip


def write_job(folder: Path, model: ModelRef, *, rows: int = 16, length: int = 20, **settings: Any) -> Path:
    """A job folder: short questions with two answers, and four of them to score on."""
    folder.mkdir(parents=True, exist_ok=True)
    output = OutputSpec(kind="text", max_tokens=4)
    task = Task(name="t", instruction="Answer.", inputs=("question",), output=output, metrics=("token_f1",))
    slot = PromptSlot(instruction="Answer.", fields=("question",))
    candidate = Candidate(method="fine_tune", model=model, prompt=slot, output=OutputSlot(max_tokens=4))
    made = [_row(n, length) for n in range(rows)]
    write_rows(folder / "rows.jsonl", made)
    write_rows(folder / "dev.jsonl", made[:4])
    job = Job(model, candidate, task, TrainSettings(**{**SETTINGS, **settings}))
    (folder / "job.json").write_text(json.dumps(job.to_json()), "utf-8")
    return folder


def _row(n: int, length: int) -> TrainingRow:
    text = (f"{n} the rent and the deposit " * length)[:length]
    return TrainingRow(
        f"r{n}", Request((Message("user", text),), max_tokens=4, query=text), "rent" if n % 2 else "deposit"
    )


class Children:
    """Talks to the process that forks."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def start(self, folder: Path, **fault: Any) -> int:
        """The id of a new training process."""
        return int(self._ask({"folder": str(folder), "fault": fault})["pid"])

    def wait(self, pid: int) -> int:
        """Its exit code; negative where a signal ended it."""
        return int(self._ask({"wait": pid})["code"])

    def run(self, folder: Path, **fault: Any) -> int:
        return self.wait(self.start(folder, **fault))

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def said(folder: Path) -> list[dict[str, Any]]:
    """What the trainings of a folder have reported, line by line."""
    lines = (folder / "said.jsonl").read_text("utf-8").splitlines() if (folder / "said.jsonl").is_file() else []
    return [json.loads(line) for line in lines]


def until(what: Any, *, seconds: float = 120.0) -> None:
    """Wait until `what()` is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def _spoil(fault: dict[str, Any]) -> None:
    """Put a fault into this process."""
    import safetensors.torch

    import rung.training.loop as loop

    made = [0]

    def counted(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            made[0] += 1
            if made[0] == fault.get("kill_at"):
                os.kill(os.getpid(), signal.SIGKILL)
            if "full_at" in fault and made[0] >= fault["full_at"]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **named)

        return call

    os.fsync = counted(os.fsync)
    Path.rename = counted(Path.rename)  # type: ignore[method-assign]
    safetensors.torch.save_file = counted(safetensors.torch.save_file)
    step = loop.Loop._step

    def slowly(self: Any, batch: Any) -> None:
        if "limit" in fault and self.progress.step == 0:
            _limit(fault["limit"])
        step(self, batch)
        time.sleep(fault.get("slow", 0.0))

    loop.Loop._step = slowly  # type: ignore[method-assign]


def _limit(mib: int) -> None:
    import resource

    held = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + (mib << 20), -1))


def _child(folder: str, fault: dict[str, Any]) -> None:
    from rung.training import runner

    os.setsid()
    for name, target in (("said.jsonl", 1), ("child.log", 2)):
        os.dup2(os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), target)
    _spoil(fault)
    sys.argv = ["runner", folder]
    code = 1
    try:
        code = runner.main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _serve() -> None:
    import peft
    import torch
    import transformers

    import rung.models.transformers_local
    import rung.training.runner
    import rung.training.supervised

    assert all((peft, torch, transformers, rung))
    torch.set_num_threads(1)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            code = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
            print(json.dumps({"code": code}), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            _child(order["folder"], order["fault"])
        print(json.dumps({"pid": pid}), flush=True)


if __name__ == "__main__":
    _serve()
