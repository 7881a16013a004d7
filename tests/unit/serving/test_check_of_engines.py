"""The check that served is evaluated, on an engine that rounds otherwise once it has read a prompt before."""

from __future__ import annotations

from collections import Counter

from live_server import hosted_of

from rung.core.evaluation import Answer
from rung.core.model import Request
from rung.core.task import Example
from rung.models.fake import FakeModel
from rung.serving.proof import _compared


class Remembering(FakeModel):
    """Says something else of a prompt that it reads for the first time; with `drifts`, every time."""

    def __init__(self, *, drifts: bool = False) -> None:
        super().__init__(self._say)
        self._drifts = drifts
        self._read: Counter[str] = Counter()

    def _say(self, request: Request) -> str:
        self._read[request.query] += 1
        return f"{request.query} {self._read[request.query] if self._drifts else min(2, self._read[request.query])}"


EXAMPLES = [Example(f"e{n}", {"question": f"q{n}"}, ("x",)) for n in range(4)]
RECORDED = {example.id: Answer(example.id, f"{example.text} 1") for example in EXAMPLES}


def test_what_an_engine_remembers_is_not_laid_at_the_servers_door() -> None:
    hosted = hosted_of(Remembering())
    try:
        found = _compared(hosted, EXAMPLES, RECORDED)
    finally:
        hosted.close()
    assert (found.own_same_answers, found.alone_same_answers, found.same_answers) == (4, 4, 0)


def test_a_server_that_answers_otherwise_than_its_engine_is_found_out() -> None:
    hosted = hosted_of(Remembering(drifts=True))
    try:
        found = _compared(hosted, EXAMPLES, RECORDED)
    finally:
        hosted.close()
    assert found.alone_same_answers == 0
    assert not found.holds
