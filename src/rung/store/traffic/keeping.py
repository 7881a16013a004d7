"""What of people's words is kept: all of it, masked, or only lengths, languages and keyed hashes."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from rung.core.task import Turn
from rung.store.traffic.records import Feedback, Measured, Trace
from rung.text.script import writing_of

Mask = Callable[[str], str]


@dataclass(frozen=True)
class Keeping:
    """`mask`: makes personal data unreadable in what is kept. Measures are taken of the texts as they came."""

    secret: bytes
    texts: bool = True
    mask: Mask | None = None

    def fingerprint(self, text: str) -> str:
        """32 hexadecimal digits; '' for an empty text. Without the database's secret nobody can try texts against it."""
        if not text:
            return ""
        # Not `hmac.digest`, which lets all other threads go first: a writer of many texts would fall behind a busy server.
        keyed = self._keyed.copy()
        keyed.update(text.encode("utf-8", "surrogatepass"))
        return keyed.hexdigest()[:32]

    @cached_property
    def _keyed(self) -> hmac.HMAC:
        return hmac.new(self.secret, digestmod="sha256")

    def trace(self, trace: Trace) -> Trace:
        asked = trace.text
        measured = trace.measured or Measured(
            input_chars=len(asked),
            input_language=writing_of(asked),
            input_hash=self.fingerprint(asked),
            answer_chars=len(trace.answer),
            answer_hash=self.fingerprint(trace.answer),
        )
        if not self.texts:
            return replace(trace, inputs={}, history=(), answer="", raw="", measured=measured)
        if self.mask is None:
            return replace(trace, measured=measured)
        return replace(
            trace,
            inputs={name: self.mask(text) for name, text in trace.inputs.items()},
            history=tuple(Turn(turn.role, self.mask(turn.text)) for turn in trace.history),
            answer=self.mask(trace.answer),
            raw=self.mask(trace.raw),
            measured=measured,
        )

    def feedback(self, feedback: Feedback) -> Feedback:
        if not self.texts:
            return replace(feedback, corrected="", comment="")
        if self.mask is None:
            return feedback
        return replace(feedback, corrected=self.mask(feedback.corrected), comment=self.mask(feedback.comment))
