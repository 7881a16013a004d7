"""From a chat to a question of the task: the last user message fills the input fields, earlier turns are its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rung.core.task import Turn
from rung.serving.openai_schema import Own, text_of
from rung.serving.refusals import wrong
from rung.text.strict_json import read_json


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `ignored` names what was sent with it and is not shown to the model."""

    inputs: Mapping[str, str]
    history: tuple[Turn, ...] = ()
    ignored: tuple[str, ...] = ()
    consent: bool = False


def question_of(
    messages: Sequence[Mapping[str, Any]], fields: Sequence[str], *, dialogue: bool, own: Own | None = None
) -> Question:
    """The question in a chat. Raises Refusal for roles, contents and fields that cannot be read.

    The caller's system message is not shown: the candidate has its own, with which it was evaluated. `dialogue`: the task has
    turns before the question; else they are not shown either.
    """
    turns: list[Turn] = []
    left_out: set[str] = set()
    for place, message in enumerate(messages):
        param, role = f"messages[{place}]", message.get("role")
        if role in {"system", "developer"}:
            text_of(message.get("content"), f"{param}.content")
            left_out.add(f"{role} message")
        elif role == "user":
            turns.append(Turn("user", text_of(message.get("content"), f"{param}.content")))
        elif role == "assistant":
            if message.get("tool_calls") or message.get("function_call"):
                raise wrong("There are no tools here.", f"{param}.tool_calls", code="unsupported_content")
            turns.append(Turn("assistant", text_of(message.get("content"), f"{param}.content")))
        else:
            raise wrong("A role is system, developer, user or assistant.", f"{param}.role")
    if not turns or turns[-1].role != "user":
        raise wrong("The last message must be the user's: it is the question.", "messages")
    earlier, last = turns[:-1], turns[-1]
    if earlier and not dialogue:
        left_out.add("earlier messages")
    return Question(
        inputs_of(last.text, fields, own),
        tuple(earlier) if dialogue else (),
        tuple(sorted(left_out)),
        bool(own and own.consent),
    )


def inputs_of(text: str, fields: Sequence[str], own: Own | None = None) -> dict[str, str]:
    """The input fields: `rung.inputs` of the body; a text as the only field; else a JSON object in the text."""
    if own is not None and own.inputs is not None:
        return _checked(own.inputs, fields, "rung.inputs")
    if len(fields) == 1:
        if not text.strip():
            raise wrong("The question is empty.", "messages")
        return {fields[0]: text}
    try:
        found = read_json(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        names = ", ".join(fields)
        said = f"This task has the input fields {names}: send them as a JSON object of texts in the message, or as rung.inputs."
        raise wrong(said, "messages")
    return _checked(found, fields, "messages")


def _checked(found: Mapping[str, str], fields: Sequence[str], param: str) -> dict[str, str]:
    missing = [name for name in fields if name not in found]
    if missing:
        raise wrong(f"Missing input fields: {', '.join(missing)}.", param)
    if any("\0" in value for value in found.values()):
        raise wrong("A text may not hold the character NUL.", param)
    if not any(found[name].strip() for name in fields):
        raise wrong("The question is empty.", param)
    return {name: found[name] for name in fields}
