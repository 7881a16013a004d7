"""Which part of an answer that is still being written may already be shown: what no step will change any more."""

from __future__ import annotations

from rung.core.candidate import OutputSlot
from rung.core.steps import in_one_piece
from rung.serving.refusals import broken
from rung.text.steps import ANSWER_NAMES, strip_marks

_UNSURE = 2 * max(map(len, ANSWER_NAMES)) + 16
"""Characters after which an echoed name before the answer has shown itself."""
_MARKS = tuple("\"'`*_#\u201c\u2018「『")
_CLOSERS = "\"'`*\u201d\u2019」』 \t\r\n"


def can_stream(output: OutputSlot) -> bool:
    """Whether an answer may be shown while it is written: no choice, no JSON, no step that may still change its beginning."""
    if output.choices or output.json_schema is not None or in_one_piece(output.steps, output.shown):
        return False
    return not any(step.arguments for step in output.steps)


class Held:
    """Takes the pieces of an answer and gives out what is certain. All that was given out is the finished answer's beginning."""

    def __init__(self, output: OutputSlot) -> None:
        self._as_is = not output.steps
        self._text = ""
        self._shown = 0
        self._bare: bool | None = None

    def take(self, piece: str) -> str:
        """What may be shown after one more piece; often the piece itself."""
        self._text += piece
        if self._as_is:
            return self._out(len(self._text))
        begun = self._text.lstrip()
        if self._bare is None and (len(begun) >= _UNSURE or (begun and begun[0] in _MARKS)):
            # An answer that opens with a mark may turn out to be wrapped in it; it is shown when it is whole.
            bare = strip_marks(begun)
            self._bare = begun[0] not in _MARKS and isinstance(bare, str) and bare.startswith(begun.rstrip(_CLOSERS))
        if not self._bare:
            return ""
        if not self._shown:
            self._text = begun
        return self._out(len(self._text.rstrip()))

    def _out(self, end: int) -> str:
        piece = self._text[self._shown : end]
        self._shown = max(self._shown, end)
        return piece


def rest_of(answer: str, shown: str) -> str:
    """What is still to be shown of a finished answer. Raises Refusal where it does not begin with what was shown."""
    if not answer.startswith(shown):
        raise broken()
    return answer[len(shown) :]
