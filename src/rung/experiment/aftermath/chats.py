"""A few free prompts answered before and after tuning: does the model still talk, or has it gone silent or stuck?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from rung.core.model import Completion, Message, Request
from rung.core.task import Language
from rung.experiment.aftermath.general import written
from rung.experiment.aftermath.pieces import units
from rung.store.aftermath import Chat
from rung.text.normalise import squeeze

State = Literal["said", "empty", "stuck", "failed"]
MAX_TOKENS = 48
_LONGEST = 400
_LONGEST_LOOP = 8
"""Words or characters of a phrase that may be said over and over."""


def prompts() -> list[tuple[Language, str]]:
    """(language, prompt) of each."""
    return [(entry["language"], entry["prompt"]) for entry in written()["prompts"]]


def chat_requests() -> list[Request]:
    return [
        Request(messages=(Message("user", prompt),), max_tokens=MAX_TOKENS, query=prompt) for _, prompt in prompts()
    ]


def state_of(answer: Completion) -> State:
    """What became of a free answer."""
    if answer.failure is not None and answer.failure.kind != "empty":
        return "failed"
    if not answer.text.strip():
        return "empty"
    return "stuck" if is_stuck(answer.text) else "said"


def is_stuck(text: str) -> bool:
    """Whether one word makes up more than half of it, or it ends in one phrase said four times or more."""
    said = units(text)
    if len(said) >= _LONGEST_LOOP and Counter(said).most_common(1)[0][1] > len(said) / 2:
        return True
    for size in range(1, _LONGEST_LOOP + 1):
        tail = said[-4 * size :]
        # A single word is a loop only where it is said for long: "no no no no" is an answer.
        if len(tail) >= max(8, 4 * size) and all(tail[i] == tail[i % size] for i in range(len(tail))):
            return True
    return False


def compare_chats(before: Sequence[Completion], after: Sequence[Completion]) -> tuple[Chat, ...]:
    return tuple(
        Chat(
            language=language,
            prompt=prompt,
            before=one.text[:_LONGEST],
            after=other.text[:_LONGEST],
            before_state=state_of(one),
            after_state=state_of(other),
            same=squeeze(one.text) == squeeze(other.text),
        )
        for (language, prompt), one, other in zip(prompts(), before, after, strict=True)
    )
