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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rung.core.answer import Opened, finish
from rung.core.candidate import Candidate
from rung.core.durable import write_whole
from rung.core.errors import BackendError, InterruptedRun, RungError
from rung.core.hashing import hash_file
from rung.core.model import ModelRef
from rung.core.registry import create, find
from rung.core.task import Example, Task
from rung.training.batches import TokenRow
from rung.training.checkpoint import publish
from rung.training.rows import TrainingRow, read_rows, write_rows
from rung.training.sft import LoraTrainer, Progress, SftResult, SftSettings, attach_lora

EXIT_INTERRUPTED = 5
_STOP_GRACE = 60.0
"""Seconds a child gets to write its checkpoint after it was asked to stop."""


@dataclass(frozen=True)
class Job:
    """What a child is told."""

    model: ModelRef
    candidate: Candidate
    task: Task
    settings: SftSettings

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model.model_dump(mode="json"),
            "candidate": self.candidate.model_dump(mode="json"),
            "task": self.task.model_dump(mode="json"),
            "settings": asdict(self.settings),
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Job:
        return cls(
            ModelRef.model_validate(record["model"]),
            Candidate.model_validate(record["candidate"]),
            Task.model_validate(record["task"]),
            SftSettings(**record["settings"]),
        )


@dataclass(frozen=True)
class Trained:
    adapter: Path
    sha256: str
    result: SftResult


def train(
    folder: Path,
    job: Job,
    rows: list[TrainingRow],
    dev: list[TrainingRow],
    *,
    report: Callable[[dict[str, Any]], None] = lambda line: None,
) -> Trained:
    """Run a job to its end in a child process; with the same folder, go on where an earlier one stopped.

    Raises InterruptedRun E4001 when stopped on the way, BackendError E3020 when the child dies, or the child's own error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "result.json").is_file():
        write_rows(folder / "rows.jsonl", rows)
        write_rows(folder / "dev.jsonl", dev)
        write_whole(folder / "job.json", json.dumps(job.to_json()).encode())
        _launch(folder, report)
    result = SftResult(**json.loads((folder / "result.json").read_text("utf-8")))
    return Trained(folder / "adapter", hash_file(folder / "adapter" / "adapter_model.safetensors"), result)


def _launch(folder: Path, report: Callable[[dict[str, Any]], None]) -> None:
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
    if code == EXIT_INTERRUPTED:
        raise InterruptedRun("E4001", run=folder)
    if "error" in last:
        raise RungError.__subclasses__()[last["class"]](last["error"], **last["values"])
    if code != 0:
        tail = (folder / "child.log").read_text("utf-8", "replace").strip().split("\n")[-1]
        raise BackendError("E3020", exit=code, reason=tail[:300] or f"signal {-code}", log=folder / "child.log")


def _stop(child: subprocess.Popen[bytes]) -> None:
    """Ask the child to write its checkpoint; end it when it does not."""
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(_STOP_GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()


def _watch_parent(stop: threading.Event) -> None:
    """End with the parent: a child whose parent was killed would train for nobody."""
    parent = os.getppid()
    while not stop.wait(1.0):
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def run_job(folder: Path) -> int:
    """The child's work. Returns its exit code."""
    asked = threading.Event()
    done = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: asked.set())
    threading.Thread(target=_watch_parent, args=(done,), daemon=True).start()
    job = Job.from_json(json.loads((folder / "job.json").read_text("utf-8")))
    model = find("model", job.model.kind).open(job.model)
    parts = model.training_parts()
    module = attach_lora(parts, job.settings)
    dev = read_rows(folder / "dev.jsonl")

    def encoded(found: list[TrainingRow]) -> list[TokenRow]:
        return [TokenRow(*parts.encode(row.request, row.target)) for row in found]

    trainer = LoraTrainer(
        module,
        encoded(read_rows(folder / "rows.jsonl")),
        job.settings,
        score_dev=DevScorer(job, parts.evaluator, dev),
        dev_rows=encoded(dev),
        device=parts.device,
    )

    def tell(progress: Progress, planned: int) -> None:
        _say(
            {"step": progress.step, "planned": planned, "seconds": progress.seconds, "tokens": progress.tokens}
            | progress.curve[-1]
        )

    result = trainer.run(folder / "checkpoints", report=tell, stopping=asked.is_set)
    if result.stopped == "interrupted":
        return EXIT_INTERRUPTED
    working = folder / ".adapter"
    shutil.rmtree(working, ignore_errors=True)
    module.save_pretrained(working, safe_serialization=True)
    (working / "README.md").unlink(missing_ok=True)
    publish(working, folder / "adapter")
    write_whole(folder / "result.json", json.dumps(asdict(result)).encode())
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    done.set()
    return 0


class DevScorer:
    """The task's own metric on the dev rows, with the adapter merged as it will be served."""

    def __init__(self, job: Job, evaluator: Any, rows: list[TrainingRow]) -> None:
        self._job, self._evaluator, self._rows = job, evaluator, rows
        self._metric = create("metric", job.task.metric, task=job.task)
        self._steps = tuple(_bind(find("step", step.name), step.arguments) for step in job.candidate.output.steps)

    def __call__(self, module: Any) -> float:
        from rung.stats.failing import worth
        from rung.training.merge import merged

        examples = [Example(row.id, {"": row.request.query}, (row.target,)) for row in self._rows]
        with merged(module) as plain:
            model = self._evaluator(plain)
            completions = model.generate([row.request for row in self._rows])
        opened = Opened(self._job.candidate, model, steps=self._steps)
        answers = [
            finish(opened, example, row.request, completion)
            for example, row, completion in zip(examples, self._rows, completions, strict=True)
        ]
        # A checkpoint must not look better for failing more.
        return worth(self._metric, examples, self._metric.score(examples, answers), self._job.task.output.labels)


def _bind(function: Any, arguments: dict[str, Any]) -> Callable[[str], Any]:
    return lambda text: function(text, **arguments)


def _say(line: dict[str, Any]) -> None:
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
