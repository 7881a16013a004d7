"""Training in a child process: the parent writes a job folder, the child trains and leaves an adapter and a result.

    <job>/job.json        what to train: registry names, settings, folders; nothing else crosses
          rows.jsonl      training rows        dev.jsonl   rows to score on dev
          checkpoints/    to resume from
          adapter/        the trained weights, published whole
          result.json     written last

`python -m rung.training.runner <job>` is the child. It prints one JSON object a line on stdout while it works.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.core.durable import write_whole
from rung.core.errors import BackendError, InterruptedRun, RungError
from rung.core.hashing import hash_file
from rung.core.lock import folder_lock
from rung.core.registry import find
from rung.training.attach import save_trained, weights_file
from rung.training.checkpoint import publish
from rung.training.dev_score import DevScorer
from rung.training.killed import leave_word, out_of_memory_kills
from rung.training.processes import joined_by, rank
from rung.training.progress import Progress, TrainingResult
from rung.training.rows import TrainingRow, read_rows, write_rows
from rung.training.work import Job, Work, trainer

EXIT_INTERRUPTED = 5
_STOP_GRACE = 60.0
"""Seconds a child gets to write its checkpoint after it was asked to stop."""


@dataclass(frozen=True)
class Trained:
    adapter: Path
    sha256: str
    result: TrainingResult


def write_job(folder: Path, job: Job, rows: Sequence[TrainingRow], dev: Sequence[TrainingRow]) -> None:
    """What a child is told, in a job folder. Nothing is written where the job has come to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "result.json").is_file():
        # Held again by the child for as long as it works: what it reads must not change below it.
        with folder_lock(folder):
            write_rows(folder / "rows.jsonl", rows)
            write_rows(folder / "dev.jsonl", dev)
            write_whole(folder / "job.json", json.dumps(job.to_json()).encode())


def train(
    folder: Path,
    job: Job,
    rows: Sequence[TrainingRow],
    dev: Sequence[TrainingRow],
    *,
    report: Callable[[dict[str, Any]], None] = lambda line: None,
) -> Trained:
    """Run a job to its end in a child process; with the same folder, go on where an earlier one stopped.

    Raises InterruptedRun E4001 when stopped on the way, BackendError E3020 when the child dies, or the child's own error.
    """
    write_job(folder, job, rows, dev)
    result = run_child(folder, report)
    return Trained(folder / "adapter", hash_file(folder / "adapter" / weights_file(job.settings)), result)


def run_child(folder: Path, report: Callable[[dict[str, Any]], None]) -> TrainingResult:
    """Bring the job that is described in a folder to its end, unless it has come there already. Raises as `train` does.

    A child that something else has killed is started once more; where that was for want of memory, it takes less.
    """
    if not (folder / "result.json").is_file():
        before = out_of_memory_kills()
        if _launch(folder, report) == -signal.SIGKILL:
            leave_word(folder, memory=before is None or out_of_memory_kills() != before)
            if _launch(folder, report) == -signal.SIGKILL:
                raise BackendError("E3022", log=folder / "child.log")
    return TrainingResult(**json.loads((folder / "result.json").read_text("utf-8")))


def _launch(folder: Path, report: Callable[[dict[str, Any]], None]) -> int:
    """Returns the child's exit code: 0, or that of a signal which nobody can catch. Raises for every other end."""
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    log = (folder / "child.log").open("ab")
    child = subprocess.Popen(
        [sys.executable, "-m", "rung.training.runner", str(folder)],
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        start_new_session=True,
    )
    last: dict[str, Any] = {}
    assert child.stdout is not None
    try:
        for line in child.stdout:
            try:
                last = json.loads(line)
            except ValueError:
                continue
            report(last)
        code = child.wait()
    except BaseException:
        _stop(child)
        raise
    finally:
        log.close()
        child.stdout.close()
    if code and "error" in last:
        raise RungError.__subclasses__()[last["class"]](last["error"], **last["values"])
    if code == EXIT_INTERRUPTED:
        raise InterruptedRun("E4001", run=folder)
    if code not in (0, -signal.SIGKILL):
        tail = (folder / "child.log").read_text("utf-8", "replace").strip().split("\n")[-1]
        raise BackendError("E3020", exit=code, reason=tail[:300] or f"signal {-code}", log=folder / "child.log")
    return code


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Ask the child to write its checkpoint; end it when it does not."""
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(_STOP_GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()


def _watch_parent(asked: threading.Event) -> None:
    """End with the parent: a child whose parent was killed would train for nobody."""
    parent = os.getppid()
    while not asked.wait(1.0):
        if os.getppid() != parent:
            asked.set()


def _heed(asked: threading.Event) -> None:
    """Asked to stop once, finish the step and write a checkpoint; asked twice, stop at once: what is on disk is whole either way."""

    def stop(*_: object) -> None:
        if asked.is_set():
            os._exit(EXIT_INTERRUPTED)
        asked.set()

    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        # Under nohup, a closed terminal is to be ignored.
        if number is not None and (name != "SIGHUP" or signal.getsignal(number) != signal.SIG_IGN):
            signal.signal(number, stop)


def run_job(folder: Path) -> int:
    """The child's work. Returns its exit code. Raises InterruptedRun E4002 where another process trains in this folder."""
    if rank() != 0:
        return _run_job(folder)
    with folder_lock(folder):
        return _run_job(folder)


def _run_job(folder: Path) -> int:
    asked = threading.Event()
    first = rank() == 0
    _heed(asked)
    threading.Thread(target=_watch_parent, args=(asked,), daemon=True).start()

    def tell(progress: Progress, planned: int) -> None:
        _say(
            {"step": progress.step, "planned": planned, "seconds": progress.seconds, "tokens": progress.tokens}
            | {"memory_gib": _memory_gib()}
            | progress.curve[-1]
        )

    if json.loads((folder / "job.json").read_text("utf-8"))["kind"] == "contrastive":
        from rung.training.encoder_job import train_encoder

        result = train_encoder(folder, tell, asked.is_set)
    else:
        with joined_by(folder, Job.read(folder).processes):
            result = _train_model(folder, tell, asked.is_set)
    if result.stopped == "interrupted":
        return EXIT_INTERRUPTED
    if not first:
        return 0
    result.facts["peak_memory_gib"] = _peak_memory_gib()
    write_whole(folder / "result.json", json.dumps(asdict(result)).encode())
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return 0


def _train_model(folder: Path, tell: Callable[[Progress, int], None], stopping: Callable[[], bool]) -> TrainingResult:
    """Train what a job names on a language model, and publish it as `adapter/` unless it was interrupted."""
    job = Job.read(folder)
    parts = find("model", job.model.kind).open(job.model).training_parts()
    dev = read_rows(folder / "dev.jsonl")
    rows = read_rows(folder / "rows.jsonl")
    score_dev = DevScorer(job, parts.evaluator, dev)
    work = Work(folder, job, parts, rows, dev, score_dev, tell, stopping)
    found = trainer(job.kind)(work)
    found.result.notes.extend(score_dev.notes())
    if found.result.stopped != "interrupted" and rank() == 0:
        working = folder / ".adapter"
        shutil.rmtree(working, ignore_errors=True)
        save_trained(found.module, parts, job.settings, working, found.state)
        publish(working, folder / "adapter")
    return found.result


def _memory_gib() -> float:
    """Memory of this process now; of the GPU, where it trains on one."""
    import psutil
    import torch

    used = torch.cuda.memory_allocated() if torch.cuda.is_initialized() else psutil.Process().memory_info().rss
    return round(used / (1 << 30), 3)


def _peak_memory_gib() -> float:
    """The most that this process has taken so far; of the GPU, where it trained on one."""
    import resource

    import torch

    if torch.cuda.is_initialized():
        return round(torch.cuda.max_memory_reserved() / (1 << 30), 3)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 30), 3)


def _say(line: dict[str, Any]) -> None:
    """To the parent; the first of several processes speaks for all."""
    if rank() == 0:
        print(json.dumps(line), flush=True)


def main() -> int:
    try:
        return run_job(Path(sys.argv[1]))
    except RungError as error:
        problem = error.problems[0]
        kinds = RungError.__subclasses__()
        _say(
            {
                "error": problem.code,
                "class": kinds.index(type(error)),
                "values": {key: str(value) for key, value in problem.values.items()},
            }
        )
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
