"""From a question, its shots and its passages to messages: the one renderer of evaluation, training and serving.

Texts are joined, never compiled: braces and template marks in a user's text stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rung.core.candidate import PromptSlot
from rung.core.model import Message
from rung.core.task import Example, Passage, Turn

WORDS = {
    "en": {"choices": "Choose one of", "comma": ", ", "colon": ": "},
    "zh": {"choices": "从以下选项中选择一个", "comma": "、", "colon": "："},
}


def _fields(prompt: PromptSlot, inputs: Mapping[str, str]) -> str:
    colon = WORDS[prompt.language]["colon"]
    if len(prompt.fields) == 1:
        return inputs.get(prompt.fields[0], "")
    return "\n".join(f"{name}{colon}{inputs[name]}" for name in prompt.fields if inputs.get(name))


def _passages(passages: Sequence[Passage]) -> str:
    return "\n\n".join(f"[{n}] {passage.text}" for n, passage in enumerate(passages, 1))


def render(
    prompt: PromptSlot,
    inputs: Mapping[str, str],
    *,
    shots: Sequence[Example] = (),
    passages: Sequence[Passage] = (),
    choices: Sequence[str] = (),
    history: Sequence[Turn] = (),
) -> tuple[Message, ...]:
    """The messages of one question. Shots come in the order given: put the nearest last, closest to the question.

    `history`: what was said before, as turns of its own in the chat layout and as lines in the compact one.
    """
    if prompt.layout == "bare":
        return (Message("user", _fields(prompt, inputs)),)
    words = WORDS[prompt.language]
    system = prompt.instruction
    if prompt.list_choices and choices:
        system += f"\n{words['choices']}{words['colon']}{words['comma'].join(choices)}"
    context = _passages(passages)
    if prompt.layout == "chat":
        turns = [Message("system", system)]
        for shot in shots:
            turns += [Message("user", _fields(prompt, shot.inputs)), Message("assistant", shot.references[0])]
        turns += [Message(turn.role, turn.text) for turn in history]
        question = _fields(prompt, inputs)
        if context:
            question = f"{context}\n\n{prompt.question_name}{words['colon']}{question}"
        return (*turns, Message("user", question))
    ask, tell = prompt.question_name + words["colon"], prompt.answer_name + words["colon"]
    lines = [f"{ask}{_fields(prompt, shot.inputs)}\n{tell}{shot.references[0]}" for shot in shots]
    said = [f"{ask if turn.role == 'user' else tell}{turn.text}" for turn in history]
    lines.append("\n".join([*said, f"{ask}{_fields(prompt, inputs)}\n{tell}".rstrip()]))
    body = "\n\n".join([context] * bool(context) + lines)
    return (Message("system", system), Message("user", body))
