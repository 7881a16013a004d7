"""Instructions that a model writes: asked with the task and some solved questions, and read back as plain text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rung.core.durable import write_json
from rung.core.errors import UsageError
from rung.core.hashing import seed_from
from rung.core.method import Budget
from rung.core.model import Message, Model, ModelRef, Request
from rung.core.registry import find
from rung.core.task import FitData
from rung.methods.slots import seeded_sample, sentences
from rung.text.steps import ANSWER_NAMES, strip_marks

FILE = "written.json"
"""In the method's own folder: what the writer wrote, kept so that an interrupted search goes on with the same instructions."""
_LONGEST = 800
"""Characters; what is longer is no instruction but an essay."""
_SHOWN = 4
_MAX_TOKENS = 120
_HEADINGS = ("Instruction", "Instructions", "Better instruction", "New instruction", "指令", "新指令")
_TIPS = ("tip_1", "tip_2", "tip_3", "tip_4")


def check_writer(wanted: Any) -> ModelRef | None:
    """The model that a `writer` setting describes: None for `model` (the task's own) and `rules` (nobody); otherwise a mapping
    with kind, id and options, as of a model in candidate.json. Raises UsageError E2411 for anything else."""
    if wanted in ("model", "rules"):
        return None
    if isinstance(wanted, Mapping) and "kind" in wanted:
        try:
            return ModelRef.model_validate({"id": str(wanted["kind"]), **wanted})
        except ValueError as error:
            raise UsageError("E2411", value=dict(wanted)) from error
    raise UsageError("E2411", value=wanted)


def open_writer(wanted: Any, model: Model, budget: Budget) -> Model | None:
    """Who writes, on the run's account; `model` is the task's own. Errors as for `check_writer`."""
    ref = check_writer(wanted)
    if ref is not None:
        return budget.charged(find("model", ref.kind).open(ref))
    return model if wanted == "model" else None


def written_instructions(fit: FitData, writer: Model, count: int) -> list[str]:
    """At most `count` different instructions; a failed, empty or endless answer is left out."""
    path = fit.folder / FILE
    if path.is_file():
        kept: list[str] = json.loads(path.read_text("utf-8"))
        return kept
    requests = [_request(fit, number) for number in range(count)]
    found = [_clean(completion.text) for completion in writer.generate(requests) if completion.failure is None]
    usable = [text for text in dict.fromkeys(found) if text and text != fit.task.instruction and len(text) <= _LONGEST]
    write_json(path, usable)
    return usable


def _request(fit: FitData, number: int) -> Request:
    texts = sentences()[fit.task.language]
    solved = [example for example in fit.train if example.references]
    shown = seeded_sample(solved, _SHOWN, fit.seed, "writer", number)
    pairs = "\n\n".join(
        f"{texts['question']}: {example.text}\n{texts['answer']}: {example.references[0]}" for example in shown
    )
    values: dict[str, Any] = {
        "instruction": fit.task.instruction,
        "examples": pairs,
        "tip": texts[_TIPS[number % len(_TIPS)]],
    }
    text = texts["write"]
    # The examples go in last: they are data, and may hold braces.
    for name in ("tip", "instruction", "examples"):
        text = text.replace("{" + name + "}", values[name], 1)
    seed = seed_from(fit.seed, "writer", number) % (1 << 31)
    return Request((Message("user", text),), max_tokens=_MAX_TOKENS, temperature=0.7, seed=seed, query=text)


def _clean(text: str) -> str:
    """One paragraph without the quotes and headings that models like to put around it."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    bare = strip_marks(" ".join(lines), (*_HEADINGS, *ANSWER_NAMES))
    return bare if isinstance(bare, str) else ""
