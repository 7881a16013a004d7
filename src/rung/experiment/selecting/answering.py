"""One model answers questions in a process of its own, one at a time, so that its memory and its seconds are its own.

`python -m rung.experiment.selecting.answering <folder>` is the child. It reads `job.json` and `questions.jsonl`, keeps every answer in
`answers.jsonl` before the next is asked, writes `result.json` last, and prints one JSON object a line while it works.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rung.core.answer import answer_many, open_candidate
from rung.core.append_log import AppendLog, read_log
from rung.core.candidate import Candidate
from rung.core.durable import write_json, write_text
from rung.core.errors import BackendError, InterruptedRun, RungError
from rung.core.evaluation import Answer, Row
from rung.core.method import Progress
from rung.core.model import Model, ModelRef
from rung.core.registry import find
from rung.core.task import Example, Task
from rung.experiment.meter import PeakMemory, Stopwatch
from rung.experiment.purse import PaidModel, Purse
from rung.methods.slots import output_slot, prompt_slot
from rung.store.records import Stated
from rung.store.runs import example_from, example_record, row_from, row_record

GIVE_UP = 5
"""Questions that go unanswered, from the first on, before a model is taken to be unavailable."""
_STOP_GRACE = 10.0
_LOOK = 0.1
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Asked:
    """One question as it was answered. `seconds` and `cpu` are of this process, alone with the question."""

    answer: Answer
    seconds: float
    cpu: float


@dataclass(frozen=True)
class Answered:
    """All that a model answered, and what its process took."""

    asked: tuple[Asked, ...]
    ref: ModelRef
    memory_gib: float


def ask_alone(
    folder: Path,
    ref: ModelRef,
    task: Task,
    questions: Sequence[Example],
    progress: Progress,
    *,
    limit: float | None = None,
) -> Answered:
    """Every question's answer; what an earlier call has answered is kept. `limit`: money that may be spent, earlier calls included.

    Raises the child's own error, BackendError E4404 where the first questions all go unanswered, E4405 when the process
    dies, InterruptedRun E4001 when stopped.
    """
    if not (folder / "result.json").is_file():
        job = {"model": ref.model_dump(mode="json"), "task": task.model_dump(mode="json"), "limit": limit}
        write_json(folder / "job.json", job)
        # Without the answers: the child has no need of them.
        bare = [example_record(replace(q, references=(), rejected=(), liked=None), "dev") for q in questions]
        lines = [json.dumps(line, ensure_ascii=False) + "\n" for line in bare]
        write_text(folder / "questions.jsonl", "".join(lines))
        _launch(folder, progress, len(questions))
    result = json.loads((folder / "result.json").read_text("utf-8"))
    kept = _kept(folder)
    asked = tuple(kept[question.id] for question in questions)
    return Answered(asked, ModelRef.model_validate(result["model"]), float(result["memory_gib"]))


def _kept(folder: Path) -> dict[str, Asked]:
    """Answers by question. One that failed is asked again when the model is, and the later line counts."""
    found = {}
    for line in read_log(folder / "answers.jsonl"):
        spent = line["spent"]
        found[line["answer"]["example"]] = Asked(row_from(line).answer, spent["seconds"], spent["cpu"])
    return found


def _launch(folder: Path, progress: Progress, total: int) -> None:
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    with (folder / "child.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "rung.experiment.selecting.answering", str(folder)],
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        last: dict[str, Any] = {}
        try:
            for last in _lines(child):
                if "done" in last:
                    progress.update(last["done"], total, "")
            code = child.wait()
        except KeyboardInterrupt as error:
            _stop(child)
            raise InterruptedRun("E4001", run=folder.parent) from error
        except BaseException:
            _stop(child)
            raise
        finally:
            if child.stdout:
                child.stdout.close()
    if "error" in last:
        raise RungError.__subclasses__()[last["class"]](last["error"], **last["values"])
    if code != 0:
        tail = (folder / "child.log").read_text("utf-8", "replace").strip().split("\n")[-1]
        raise BackendError("E4405", exit=code, reason=tail[:300] or f"signal {-code}")


def _lines(child: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert child.stdout is not None
    for line in child.stdout:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_STOP_GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()


def plain_candidate(task: Task, model: Model) -> Candidate:
    """The task's instruction in the one plain phrasing, the same for every model; labels are named in the prompt."""
    prompt = prompt_slot(task, list_choices=task.output.kind == "label")
    return Candidate(method="prompt", model=model.ref, prompt=prompt, output=output_slot(task, model))


def run_job(folder: Path) -> None:
    """The child's work."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads((folder / "job.json").read_text("utf-8"))
    task, ref = Task.model_validate(job["task"]), ModelRef.model_validate(job["model"])
    questions = [example_from({"references": []} | line) for line in read_log(folder / "questions.jsonl")]
    with PeakMemory(every=_LOOK).watching() as memory:
        model: Model = find("model", ref.kind).open(ref)
        if hasattr(model, "for_examples"):
            model = model.for_examples(questions)
        purse = Purse(job["limit"])
        purse.spent = sum(line["answer"].get("money", 0.0) for line in read_log(folder / "answers.jsonl"))
        paid = PaidModel(model, purse)
        opened = open_candidate(plain_candidate(task, model), folder, folder, model=paid)
        done = [id for id, asked in _kept(folder).items() if asked.answer.failure is None]
        left = [question for question in questions if question.id not in done]
        if left and model.capabilities.trainable:
            # The first question also reads the weights, which is no part of answering.
            answer_many(opened, left[:1])
        failures: list[Answer] = []
        with AppendLog(folder / "answers.jsonl") as log:
            for number, question in enumerate(left, 1):
                watch = Stopwatch()
                answer = answer_many(opened, [question])[0]
                log.add([row_record(Row(answer, {})) | {"spent": {"seconds": watch.seconds, "cpu": watch.cpu}}])
                memory.look()
                _say({"done": len(questions) - len(left) + number})
                failures += [answer] if answer.failure is not None else []
                if number == len(failures) == min(GIVE_UP, len(left)) and not done:
                    why = failures[0].failure
                    assert why is not None
                    raise BackendError("E4404", n=number, reason=f"{why.kind}: {why.message}"[:300])
        peak = memory.peak_gib
    write_json(folder / "result.json", {"model": model.ref.model_dump(mode="json"), "memory_gib": peak})


def _end_with_parent() -> None:
    """A child whose parent was killed would answer for nobody."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main() -> int:
    """The child's entry: its error goes to the parent as a line of JSON."""
    try:
        run_job(Path(sys.argv[1]))
    except RungError as error:
        stated = Stated.of(error)[0]
        kinds = RungError.__subclasses__()
        _say({"error": stated.code, "class": kinds.index(type(error)), "values": stated.values})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
