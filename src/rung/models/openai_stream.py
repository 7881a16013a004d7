"""An OpenAI-compatible endpoint's answer in pieces: what its events mean, and whether it has really come to its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rung.core.model import Completion, Failure
from rung.models.openai_reply import Outcome, count_of, fail, read_error
from rung.models.sse import Event, read_events

_OPENS, _CLOSES = "<think>", "</think>"


class StreamedReply:
    """Read `pieces` to their end; then `outcome` says what came of it.

    `place`, `model` and `clean` as in `read_reply`. An answer that ends without a finish reason or `[DONE]` is a `garbage` failure,
    whatever has come of it.
    """

    def __init__(self, place: str, model: str, clean: Callable[[str], str]) -> None:
        self.outcome = Outcome(Completion())
        self.begun = False
        """A piece has been given out, so that asking again would tell the beginning twice."""
        self._place = place
        self._model = model
        self._clean = clean
        self._text = _Answer()
        self._finish = ""
        self._done = False
        self._called = False
        self._declined = False
        self._served_by = ""
        self._usage: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """All that was given out."""
        return self._text.told

    def pieces(self, blocks: Iterable[bytes]) -> Iterator[str]:
        """Text as it comes. Raises BackendError as `read_reply` does, and what reading `blocks` raises."""
        try:
            for event in read_events(blocks):
                if event.data.strip() == "[DONE]":
                    self._done = True
                    break
                broken = self._take(event)
                if broken is not None:
                    self.outcome = broken
                    return
                if piece := self._text.take():
                    self.begun = True
                    yield piece
        except UnicodeDecodeError:
            self.outcome = self._garbage("the answer is not UTF-8")
            return
        if piece := self._text.rest():
            self.begun = True
            yield piece
        self.outcome = self._read_end()

    def _take(self, event: Event) -> Outcome | None:
        """Note what an event says; an outcome where the answer is lost with it."""
        try:
            data = json.loads(event.data)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            return self._garbage("an event is not a JSON object")
        if event.kind == "error" or (data.get("error") and not data.get("choices")):
            return read_error(data, self._place, self._model, self._clean)
        if isinstance(data.get("model"), str):
            self._served_by = data["model"]
        if isinstance(data.get("usage"), dict):
            self._usage = data["usage"]
        choices = data.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            # What follows the end is the end told again.
            if isinstance(choice, dict) and choice.get("index", 0) == 0 and not self._finish:
                self._take_choice(choice)
        return None

    def _take_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            content = delta.get("content")
            if isinstance(content, str):
                self._text.add(content)
            self._called = self._called or bool(delta.get("tool_calls") or delta.get("function_call"))
            self._declined = self._declined or bool(delta.get("refusal"))
        if isinstance(choice.get("finish_reason"), str):
            self._finish = choice["finish_reason"]

    def _read_end(self) -> Outcome:
        if not (self._finish or self._done):
            return self._garbage("the answer breaks off before its end", again=True)
        if self._finish == "content_filter" or self._declined:
            return fail("content_filter", f"{self._place}: a content filter stopped the answer, or the model declined")
        if self._finish == "error":
            return fail("server", f"{self._place}: the endpoint gave up in the middle of the answer")
        if not self._text.told.strip():
            why = "the model called a tool instead of answering" if self._called else "the model answered nothing"
            return fail("garbage" if self._called else "empty", f"{self._place}: {why}")
        tokens_in, tokens_out = (count_of(self._usage.get(f"{side}_tokens")) for side in ("prompt", "completion"))
        completion = Completion(
            text=self._text.told,
            finish="length" if self._finish in ("length", "max_tokens") else "stop",
            tokens_in=tokens_in or 0,
            tokens_out=tokens_out or 0,
            served_by=self._served_by,
        )
        return Outcome(completion, counted=tokens_in is not None and tokens_out is not None)

    def _garbage(self, why: str, *, again: bool = False) -> Outcome:
        failure = Failure("garbage", f"{self._place}: {why}")
        return Outcome(Completion(failure=failure, finish="error"), again=again, garbage=True)


class _Answer:
    """The answer's text, without the reasoning that some servers leave before it and without half a surrogate pair."""

    def __init__(self) -> None:
        self.told = ""
        self._held = ""
        self._thinking: bool | None = None

    def add(self, content: str) -> None:
        self._held += content

    def take(self) -> str:
        if self._thinking is None:
            start = self._held.lstrip()
            if _OPENS.startswith(start[: len(_OPENS)]) and len(start) < len(_OPENS):
                return ""
            self._thinking = start.startswith(_OPENS)
        if self._thinking:
            _, mark, after = self._held.partition(_CLOSES)
            if not mark or not after.strip():
                return ""
            self._held, self._thinking = after.lstrip(), False
        split = "\ud800" <= self._held[-1:] <= "\udbff"
        ready, self._held = (self._held[:-1], self._held[-1]) if split else (self._held, "")
        return self._tell(ready)

    def rest(self) -> str:
        """What was held back, where the answer is over."""
        if self._thinking is None:
            self._thinking = False
        ready, self._held = ("" if self._thinking else self._held), ""
        return self._tell(ready)

    def _tell(self, text: str) -> str:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        self.told += text
        return text
