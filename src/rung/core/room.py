"""Whether a request fits a model's context, and what is left out of it where it does not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from rung.core.model import Model, Request
from rung.core.task import Passage

_TURN_TOKENS = 16
"""What a chat template puts around a message, at most."""
_CHARS_PER_TOKEN = 3
"""Of letters, where nobody can count: fewer than tokenizers take, so that an estimate errs towards leaving out."""
_WIDE = re.compile(r"[^\x00-\u2e7f]")


def fits(model: Model, request: Request) -> bool:
    """Whether prompt and answer fit the model's context; one of unknown size holds everything."""
    room = model.capabilities.context_tokens - request.max_tokens
    if not model.capabilities.context_tokens:
        return True
    around = _TURN_TOKENS * (len(request.messages) + 1)
    # No token is shorter than a byte: short prompts need no counting.
    if around + sum(len(message.text.encode("utf-8", "replace")) for message in request.messages) <= room:
        return True
    encode = getattr(model, "encode", None)
    if encode is not None:
        return len(encode(request)[0]) <= room
    return around + sum(_estimate(message.text) for message in request.messages) <= room


def _estimate(text: str) -> int:
    """Tokens of a text: one for each wide character, one for every three others."""
    wide = len(_WIDE.findall(text))
    return wide + -(-(len(text) - wide) // _CHARS_PER_TOKEN)


def fitted(model: Model, passages: Sequence[Passage], build: Callable[[Sequence[Passage]], Request]) -> Request:
    """The request that `build` makes of as many passages, best first, as the context holds; `found` names the others."""
    for shown in range(len(passages), -1, -1):
        request = build(passages[:shown])
        if shown == 0 or fits(model, request):
            break
    if shown == len(passages) or request.found is None:
        return request
    return replace(request, found=replace(request.found, no_room=tuple(p.id for p in passages[shown:])))
