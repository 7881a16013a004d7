"""From task.yaml to a checked Config and a Task, with every mistake reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rung.config.check import find_mistakes, near
from rung.config.models import WEIGHTS, ModelConfig
from rung.config.post_process import StepConfig, safe_message
from rung.config.schema import DEFAULT_METRICS, Config
from rung.config.source import Loc, Source, read_yaml
from rung.core.errors import Problem, UsageError
from rung.core.hashing import hash_file
from rung.core.model import ModelRef, WeightsRef
from rung.core.task import Constraints, OutputSpec, Task
from rung.text.script import language_of

_EXPECTED = {
    "int": ("a whole number", "整数"),
    "float": ("a number", "数字"),
    "finite": ("a number", "数字"),
    "string": ("text", "文本"),
    "tuple": ("a list", "列表"),
    "dict": ("a block of fields", "一组字段"),
    "model": ("a block of fields", "一组字段"),
}
_LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def load_config(path: Path) -> Config:
    """Read and check a task.yaml: its form, its fields, how they fit together, and that the files it names exist.

    Raises UsageError with one Problem for every mistake: E1201-E1209 for the file itself, E1210-E1249 for its fields.
    """
    document = read_yaml(path)
    values = {"name": path.resolve().parent.name or "task", **document.values}
    problems = list(document.problems)
    wrong: list[ErrorDetails] = []
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        problems += [problem_of(detail, document.source) for detail in wrong]
        # What is right so far is still checked for how it fits together.
        for detail in wrong:
            _remove(values, detail["loc"])
        try:
            config = Config.model_validate(values)
        except ValidationError:
            raise UsageError(problems[0].code, problems=problems) from None
    config._source = document.source
    touched = [detail["loc"] for detail in wrong if detail["type"] != "extra_forbidden"]
    for mistake in find_mistakes(config):
        if not any(loc[: len(mistake.loc)] == mistake.loc[: len(loc)] for loc in touched):
            problems.append(Problem(mistake.code, config.where(*mistake.loc), mistake.values))
    if problems:
        raise UsageError(problems[0].code, problems=problems)
    return config


def to_task(config: Config, labels: Sequence[str] = ()) -> Task:
    """The Task of a configuration. `labels`: those of the training rows, used where task.yaml declares none."""
    output = config.output
    language = config.language or language_of(config.instruction)
    return Task(
        name=config.name,
        instruction=config.instruction,
        inputs=config.inputs,
        output=OutputSpec(
            kind=output.kind,
            labels=(output.labels or tuple(labels)) if output.kind == "label" else (),
            json_schema=output.json_schema,
            max_tokens=output.max_tokens,
            abstain=output.abstain,
            steps=tuple(step.ref(language) for step in output.steps),
            shown=tuple(step.ref(language) for step in output.shown),
            safe=safe_message(output.safe_message, (*output.steps, *output.shown), language),
        ),
        metrics=config.metrics or DEFAULT_METRICS[output.kind],
        language=language,
        has_documents=config.documents is not None,
        target=config.target,
        margin=config.margin,
        # Stability is a limit of the verdict and no part of the task: another limit makes no other run.
        constraints=Constraints(**config.constraints.model_dump(exclude={"min_stability", "max_attack_rate"})),
    )


def to_model_ref(config: Config, model: ModelConfig) -> ModelRef:
    """The identity of a model, as the backends open it; recorded answers are hashed here."""
    options: dict[str, Any] = dict(model.options)
    id, weights = model.id or model.label, None
    if model.base_url:
        options |= {"base_url": model.base_url, "api_key_env": model.api_key_env or ""}
        options["prices"] = {"input": model.input_price, "output": model.output_price}
    if model.path and model.kind in WEIGHTS:
        id = str(config.path(model.path))
    elif model.path:
        path = config.path(model.path)
        id, weights = model.id or model.name or path.stem, WeightsRef(path=str(path), sha256=hash_file(path))
    return ModelRef(
        kind=model.kind,
        id=id,
        revision=model.revision,
        engine=model.engine,
        precision=model.precision,
        weights=weights,
        options=options,
    )


def problem_of(detail: ErrorDetails, source: Source) -> Problem:
    loc: Loc = tuple(detail["loc"])
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    where = source.where(loc)
    if kind == "extra_forbidden":
        known = _fields_at(loc[:-1])
        return Problem("E1210", where, {"key": loc[-1], "known": ", ".join(known), **near(str(loc[-1]), known)})
    if kind == "missing":
        return Problem("E1211", where, {"key": loc[-1]})
    if value is None or (kind.endswith("too_short") and not value):
        return Problem("E1212", where)
    if kind == "literal_error":
        known = [word.strip("' ") for word in str(context["expected"]).replace(" or ", ",").split(",")]
        return Problem("E1213", where, {"value": value, "known": ", ".join(known), **near(str(value), known)})
    for name, limit in context.items():
        if name in _LIMITS:
            return Problem("E1214", where, {"value": value, "limit": f"{_LIMITS[name]} {limit}"})
    en, zh = _EXPECTED.get(kind.split("_")[0], (detail["msg"], detail["msg"]))
    return Problem("E1215", where, {"value": _shown(value), "expected": en, "expected_zh": zh})


def _shown(value: Any) -> str:
    """A value on one line; of a block or a list, no more than its form."""
    if isinstance(value, Mapping):
        return "{...}"
    return "[...]" if isinstance(value, list | tuple) else str(value)


def _fields_at(loc: Loc) -> list[str]:
    """The fields that are known at a place."""
    block: type[BaseModel] = Config
    for part in loc:
        if isinstance(part, int):
            continue
        listed = {"models": ModelConfig, "steps": StepConfig, "shown": StepConfig}
        inner: Any = listed.get(part, block.model_fields[part].annotation)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        block = inner
    return list(block.model_fields)


def _remove(values: dict[str, Any], loc: Loc) -> None:
    """Take a wrong value out; a wrong item of a list takes the whole list along."""
    holder = values
    for part in loc[:-1]:
        inner = holder.get(str(part))
        if not isinstance(inner, dict):
            holder.pop(str(part), None)
            return
        holder = inner
    holder.pop(str(loc[-1]), None)
