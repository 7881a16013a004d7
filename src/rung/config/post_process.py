"""The post-processing steps of task.yaml: which fields each of them takes, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rung.config.block import Block, Free, Names, doc
from rung.core.errors import UsageError
from rung.core.registry import find, parts
from rung.core.task import Language, OutputKind, StepRef
from rung.text.steps_forbidden import compiled
from rung.text.steps_shown import FOR_READERS

FIELDS: dict[str, tuple[str, ...]] = {
    "limit_length": ("words", "characters"),
    "forbidden": ("terms", "patterns", "action"),
    "mask_personal": ("kinds", "style"),
    "disclaimer": ("text", "position"),
    "ai_mark": ("text", "position", "producer"),
    "label_map": ("mapping", "default"),
}
"""The fields of Rung's own steps; a step of your own package takes `arguments`."""
_ONE_OF: dict[str, tuple[str, ...]] = {
    "limit_length": ("words", "characters"),
    "forbidden": ("terms", "patterns"),
    "disclaimer": ("text",),
    "label_map": ("mapping",),
}
_READING = ("first_line", "strip_marks", "match_label", "json")
"""Steps that every method sets by itself."""
_CALLED = {"text": {"disclaimer": "sentence", "ai_mark": "mark"}}
_SAFE: dict[Language, str] = {"en": "I cannot answer that.", "zh": "抱歉，这个问题我无法回答。"}


class StepConfig(Block):
    """One post-processing step."""

    name: str = doc(
        "limit_length, forbidden, mask_personal; under shown also disclaimer, ai_mark, label_map; or a step of your own package",
        "limit_length、forbidden、mask_personal；shown 中还可用 disclaimer、ai_mark、label_map；或自己软件包中的步骤",
        min_length=1,
    )
    words: int = doc(
        "limit_length: most words; a Chinese character counts as one",
        "limit_length：最多多少词（汉字按一字计）",
        0,
        ge=0,
    )
    characters: int = doc("limit_length: most characters", "limit_length：最多多少个字符", 0, ge=0)
    terms: Names = doc(
        "forbidden: words that no answer may hold, however they are written",
        "forbidden：回答中不得出现的词（各种写法都会识别）",
        (),
    )
    patterns: Names = doc(
        "forbidden: regular expressions that no answer may match", "forbidden：回答中不得匹配的正则表达式", ()
    )
    action: Literal["refuse", "mask"] = doc(
        "forbidden: refuse the answer (the reader gets safe_message), or mask the words",
        "forbidden：refuse 拒答（读者看到 safe_message），或 mask 用星号遮盖",
        "refuse",
    )
    kinds: Names = doc(
        "mask_personal: kinds of personal data (see rung data privacy); the usual ones when absent",
        "mask_personal：要遮盖的个人信息种类（见 rung data privacy）；不写则为常用种类",
        (),
    )
    style: Literal["partial", "tag"] = doc(
        "mask_personal: partial (138******00) or tag ([PHONE_1])",
        "mask_personal：partial（138******00）或 tag（[PHONE_1]）",
        "partial",
    )
    text: str = doc(
        "disclaimer: the sentence; ai_mark: the mark, a usual one when absent",
        "disclaimer：声明文字；ai_mark：标识文字，不写则用默认文字",
        "",
    )
    position: Literal["start", "end"] = doc(
        "disclaimer, ai_mark: before or behind the answer", "disclaimer、ai_mark：放在回答之前还是之后", "end"
    )
    producer: str = doc(
        "ai_mark: name or code of who provides the service, for the metadata",
        "ai_mark：服务提供者的名称或编码，写入元数据",
        "",
    )
    mapping: dict[str, str] = doc("label_map: the customer's code for every label", "label_map：每个标签对应的编码", {})
    default: str | None = doc(
        "label_map: code of a label that the mapping does not hold", "label_map：映射中没有的标签所用的编码", None
    )
    arguments: Free = doc("a step of your own package: its arguments", "自己软件包中的步骤：其参数", {})

    @property
    def given(self) -> dict[str, Any]:
        """The fields that say something, without the name."""
        fields = type(self).model_fields
        return {
            name: said for name in fields if name != "name" and (said := getattr(self, name)) != fields[name].default
        }

    def ref(self, language: Language) -> StepRef:
        """The step as candidates keep it."""
        given = {_CALLED.get(name, {}).get(self.name, name): value for name, value in self.given.items()}
        own = given.pop("arguments", {})
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
        if self.name == "ai_mark":
            plain["language"] = language
        return StepRef(name=self.name, arguments=plain | own)


@dataclass(frozen=True, slots=True)
class Wrong:
    """A mistake in a list of steps: the place under the list, its code and the values of its text."""

    loc: tuple[str | int, ...]
    code: str
    values: dict[str, Any] = field(default_factory=dict)


def named_step(value: Any) -> Any:
    """A bare string is a step without arguments."""
    return {"name": value} if isinstance(value, str) else value


def named_steps(value: Any) -> Any:
    """One step where a list is asked for."""
    listed = [value] if isinstance(value, str | dict) else value
    return [named_step(item) for item in listed] if isinstance(listed, list) else listed


def safe_message(written: str, steps: Sequence[StepConfig], language: Language) -> str:
    """What a refused answer is replaced by; '' where no step could refuse one."""
    return (written or _SAFE[language]) if steps else ""


def wrong_steps(
    steps: Sequence[StepConfig], *, shown: bool, kind: OutputKind, labels: Sequence[str]
) -> Iterator[Wrong]:
    """Every mistake in one list. E7101 a step that is none, E7102 a field of another step, E7103 a field that is missing,
    E7104 a step for readers among the scored ones, E7105 a step that methods set by themselves, E7106 one that does not fit the kind
    of answer, E7107 a label that is none, E7100 a pattern that is none."""
    known = [name for name in parts("step") if name not in _READING]
    for i, step in enumerate(steps):
        if step.name in _READING:
            yield Wrong((i, "name"), "E7105", {"name": step.name})
            continue
        if step.name not in known:
            yield Wrong((i, "name"), "E7101", {"name": step.name, "known": ", ".join(known)})
            continue
        fields = FIELDS.get(step.name, ("arguments",))
        for name in step.given:
            if name not in fields:
                yield Wrong((i, name), "E7102", {"field": name, "name": step.name, "known": ", ".join(fields)})
        wanted = _ONE_OF.get(step.name, ())
        if wanted and not any(getattr(step, name) for name in wanted):
            yield Wrong((i,), "E7103", {"name": step.name, "fields": " / ".join(wanted)})
        if step.name in FOR_READERS and not shown:
            yield Wrong((i, "name"), "E7104", {"name": step.name})
        if (step.name == "label_map" and kind != "label") or (kind != "text" and step.name == "limit_length"):
            yield Wrong((i, "name"), "E7106", {"name": step.name, "kind": kind})
        if step.name == "label_map" and labels:
            for label in step.mapping:
                if label not in labels:
                    yield Wrong((i, "mapping"), "E7107", {"label": label, "known": ", ".join(labels)})
            missing = [label for label in labels if label not in step.mapping]
            if missing and step.default is None and step.mapping:
                yield Wrong((i, "mapping"), "E7108", {"labels": ", ".join(missing)})
        yield from _wrong_patterns(i, step)


def _wrong_patterns(i: int, step: StepConfig) -> Iterator[Wrong]:
    if step.name == "forbidden":
        for n, pattern in enumerate(step.patterns):
            try:
                compiled(pattern)
            except UsageError as error:
                yield Wrong((i, "patterns", n), error.code, dict(error.problems[0].values))
    elif step.name == "mask_personal" and step.kinds:
        # By its name in the registry: configuration knows no room of data.
        try:
            find("step", step.name)("", kinds=list(step.kinds))
        except UsageError as error:
            yield Wrong((i, "kinds"), error.code, dict(error.problems[0].values))
