"""A training inside this process on a tiny random Llama: its job, rows and parts, as the child of a run would have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tiny_llama import write_model

from rung.core.candidate import Candidate, OutputSlot, PromptSlot
from rung.core.model import Message, Request
from rung.core.task import OutputSpec, Task
from rung.models.transformers_local import TransformersModel
from rung.training.dev_score import DevScorer
from rung.training.rows import TrainingRow
from rung.training.settings import TrainSettings
from rung.training.work import Job, Work

LETTERS = ("a", "b", "c")
"""Labels of one token each: a random model finds them about equally likely."""
COLOURS = ("red", "blue", "green", "black")


def row(number: int, target: str, **more: Any) -> TrainingRow:
    """A question whose colour says which label is right."""
    text = f"{COLOURS[number % 3]} {number}"
    choices = more.pop("choices", ())
    most = more.pop("max_tokens", 6)
    request = Request((Message("user", text),), choices=choices, max_tokens=most, query=text)
    return TrainingRow(f"r{number}", request, target, **more)


def paired_rows(n: int, *, start: int = 0, **more: Any) -> list[TrainingRow]:
    """Rows whose target is the label of their colour, with another label as the worse answer."""
    return [row(i, LETTERS[i % 3], rejected=(LETTERS[(i + 1) % 3],), **more) for i in range(start, start + n)]


class Steps:
    """Reports of a training; raises KeyboardInterrupt after step `die_at`."""

    def __init__(self, die_at: int = 0) -> None:
        self.seen: list[int] = []
        self._die_at = die_at

    def __call__(self, progress: Any, planned: int) -> None:
        self.seen.append(progress.step)
        if progress.step == self._die_at:
            raise KeyboardInterrupt


def tiny_work(
    folder: Path,
    settings: TrainSettings,
    rows: Sequence[TrainingRow],
    dev: Sequence[TrainingRow],
    *,
    base: Path,
    kind: str = "preference",
    labelled: bool = True,
    metric: str = "accuracy",
    report: Callable[[Any, int], None] | None = None,
    stopping: Callable[[], bool] = lambda: False,
    precision: str = "fp32",
) -> Work:
    """`base`: a folder that `tiny_base` has written."""
    model = TransformersModel(str(base), precision=precision, device="cpu")
    labels = LETTERS if labelled else ()
    output = OutputSlot(choices=labels, constrain=True) if labelled else OutputSlot(max_tokens=6)
    spec = OutputSpec(kind="label" if labelled else "text", labels=labels, max_tokens=6)
    task = Task(name="t", instruction="Name it.", inputs=("question",), output=spec, metrics=(metric,))
    prompt = PromptSlot(instruction="Name it.", fields=("question",))
    candidate = Candidate(method=kind, model=model.ref, prompt=prompt, output=output)
    job = Job(model.ref, candidate, task, settings, kind=kind)  # type: ignore[arg-type]
    parts = model.training_parts()
    scorer = DevScorer(job, parts.evaluator, dev)
    return Work(folder, job, parts, list(rows), list(dev), scorer, report or Steps(), stopping)


def tiny_base(folder: Path, **sizes: Any) -> Path:
    return write_model(folder, **{"initializer_range": 0.05, "hidden_size": 32, "intermediate_size": 64, **sizes})
