"""Reading a judge: the `judge` block of a task.yaml, or of a file that holds nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from rung.config.block import Block, doc
from rung.config.load import load_config, problem_of, to_model_ref
from rung.config.schema import Config, JudgeConfig
from rung.config.source import Source, read_yaml
from rung.core.errors import Problem, UsageError
from rung.core.model import ModelRef
from rung.core.task import Language
from rung.text.script import language_of


class JudgeFile(Block):
    """A file with a judge and no task."""

    judge: JudgeConfig = doc("a language model that marks answers", "给回答打分的语言模型")


@dataclass(frozen=True)
class JudgeSpec:
    """A judge as it was asked for, checked."""

    model: ModelRef
    dimensions: dict[str, str]
    """Definition by name; empty for a built-in one."""
    scale: tuple[str, ...]
    reference: bool
    language: Language
    endpoint: bool
    """Whether asking it costs money or leaves the machine."""
    max_cost: float | None = None
    """The limit on money of its task.yaml; a judge.yaml has none."""


def load_judge(path: Path, *, known: tuple[str, ...]) -> JudgeSpec:
    """The judge of a file. `known`: dimensions that need no definition.

    Its language is the one that the file names, else that of the task or, in a file of its own, of its definitions. It never
    follows the terminal: a licence holds for the wording that it was measured with.

    Raises UsageError as `load_config` does; E4312 for a file without a judge, E4314 for a dimension without a definition,
    E4315 for a scale of fewer than two marks.
    """
    document = read_yaml(path)
    if set(document.values) == {"judge"}:
        if document.problems:
            raise UsageError(document.problems[0].code, problems=document.problems)
        try:
            judge = JudgeFile.model_validate(document.values).judge
        except ValidationError as error:
            problems = [problem_of(detail, document.source) for detail in error.errors(include_url=False)]
            raise UsageError(problems[0].code, problems=problems) from None
        language = language_of(" ".join(judge.dimensions.values()))
        config = Config.model_construct()
        config._source = document.source
    else:
        config = load_config(path)
        judge = config.judge
        language = config.language or language_of(config.instruction)
    if judge.model is None:
        raise UsageError("E4312", path=path)
    problems = list(_mistakes(judge, document.source, known))
    if problems:
        raise UsageError(problems[0].code, problems=problems)
    return JudgeSpec(
        model=to_model_ref(config, judge.model),
        dimensions=judge.dimensions,
        scale=judge.scale,
        reference=judge.reference,
        language=judge.language or language,
        endpoint=bool(judge.model.base_url),
        max_cost=config.budget.max_cost,
    )


def _mistakes(judge: JudgeConfig, source: Source, known: tuple[str, ...]) -> list[Problem]:
    found = [
        Problem("E4314", source.where(("judge", "dimensions", name)), {"name": name, "known": ", ".join(known)})
        for name, definition in judge.dimensions.items()
        if not definition and name not in known
    ]
    if len(judge.scale) < 2 or len({mark.casefold() for mark in judge.scale}) < len(judge.scale):
        found.append(Problem("E4315", source.where(("judge", "scale")), {"scale": ", ".join(judge.scale)}))
    return found
