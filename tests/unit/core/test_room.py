"""What does not fit a model's context is left out, worst first, and named."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rung.core.found import Found
from rung.core.model import Message, Request
from rung.core.room import fits, fitted
from rung.core.task import Passage
from rung.models.fake import FakeModel

LONG = tuple(Passage(f"p{n}", "d", "t", "word " * 60) for n in range(4))


class Counting(FakeModel):
    """Counts a token for every word."""

    def encode(self, request: Request) -> tuple[list[int], list[int]]:
        return [0] * sum(len(message.text.split()) for message in request.messages), []


def build(passages: Sequence[Passage]) -> Request:
    text = "\n".join(["question", *(passage.text for passage in passages)])
    return Request((Message("user", text),), max_tokens=10, passages=tuple(passages), found=Found("q", ("q",)))


@pytest.mark.parametrize(("context", "kept"), [(0, 4), (400, 4), (251, 4), (250, 3), (75, 1), (20, 0)])
def test_as_many_of_the_best_are_shown_as_the_context_holds(context: int, kept: int) -> None:
    request = fitted(Counting(context_tokens=context), LONG, build)
    assert [passage.id for passage in request.passages] == [f"p{n}" for n in range(kept)]
    assert request.found is not None
    assert request.found.no_room == tuple(f"p{n}" for n in range(kept, 4))
    assert request.found.notes == tuple(f"no_room: p{n}" for n in range(kept, 4))


def test_where_nobody_can_count_the_length_is_estimated_in_both_scripts() -> None:
    def asked(text: str) -> Request:
        return Request((Message("user", text),), max_tokens=10)

    model = FakeModel(context_tokens=500)
    assert fits(model, asked("word " * 200))
    assert not fits(model, asked("word " * 300))
    assert fits(model, asked("押金" * 200))
    assert not fits(model, asked("押金" * 250))
