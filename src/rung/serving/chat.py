"""POST /v1/chat/completions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rung.serving.changes import changes_of
from rung.serving.engine import Outcome
from rung.serving.held import rest_of
from rung.serving.hosting import Hosted
from rung.serving.openai_schema import ChatBody, ignored, read
from rung.serving.questions import question_of
from rung.serving.refusals import Refusal, wrong
from rung.serving.round import Round
from rung.serving.routing import begin, picked
from rung.serving.sending import Streamed, reply, sse
from rung.serving.service import Way
from rung.serving.telling import label_scores, own_block, said, usage_of


async def chat(request: Request) -> Response:
    """An answer to the last user message, whole or in pieces."""
    service, call, data = await begin(request, "answer")
    body = read(ChatBody, data)
    who = picked(service, call, body)
    hosted = who.hosted
    question = question_of(body.messages, hosted.candidate.prompt.fields, dialogue=hosted.dialogue, own=body.rung)
    if body.logprobs and not hosted.candidate.output.constrain:
        said_so = "Only a candidate that chooses among labels gives logprobs: of its labels."
        raise wrong(said_so, "logprobs", code="unsupported_value")
    most = body.max_completion_tokens or body.max_tokens
    changes = changes_of(body, hosted, most=most, stop=body.stop, wanted=body.response_format)
    left_out = ignored(body, more=question.ignored)
    way = Way(who, question, changes, left_out, streamed=bool(body.stream), session=body.user or "")
    round = Round(service, call, way, request.receive, n=body.n or 1)
    scores = (body.top_logprobs or 0) if body.logprobs else None
    shape = _Shape(round, hosted, scores)
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return Streamed(round, _Chunks(shape, usage=usage), left_out)
    async with round:
        return reply(shape.whole(await round.outcomes()), ignored=left_out)


class _Shape:
    """The parts that an answer and its pieces have in common."""

    def __init__(self, round: Round, hosted: Hosted, scores: int | None) -> None:
        self.round = round
        self.hosted = hosted
        self._scores = scores
        self._head = {"id": round.call.id, "created": int(time.time()), "model": hosted.name}

    def head(self, kind: str) -> dict[str, Any]:
        return {**self._head, "object": kind}

    def whole(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        choices = []
        for index, outcome in enumerate(outcomes):
            answer = said(outcome, self.hosted)
            message = {"role": "assistant", "content": answer.text, "refusal": None}
            choices.append(
                {"index": index, "message": message, "logprobs": self.logprobs(outcome), "finish_reason": answer.finish}
                | self.number(index)
            )
        once = len(set(self.round.numbers)) == 1
        block = own_block(outcomes[0], self.hosted)
        usage = usage_of(outcomes, asked_once=once)
        return {**self.head("chat.completion"), "choices": choices, "usage": usage, "rung": block}

    def number(self, index: int) -> dict[str, Any]:
        """The trace of a further answer, so that feedback can name it."""
        return {"rung": {"id": self.round.numbers[index]}} if index else {}

    def logprobs(self, outcome: Outcome) -> dict[str, Any] | None:
        """A label counts as one token: its log-probability among the labels."""
        if self._scores is None:
            return None
        found = label_scores(outcome, self.hosted, self._scores)
        if not found:
            return None
        tokens = [{"token": label, "logprob": score, "bytes": list(label.encode())} for label, score in found]
        return {"content": [{**tokens[0], "top_logprobs": tokens[: self._scores]}], "refusal": None}


class _Chunks:
    """The events of a streamed chat completion."""

    def __init__(self, shape: _Shape, *, usage: bool) -> None:
        self._shape = shape
        self._usage = usage
        self._head = shape.head("chat.completion.chunk")
        self._shown: dict[int, str] = {}
        self._outcomes: dict[int, Outcome] = {}

    def start(self) -> bytes:
        first = {"role": "assistant", "content": ""}
        return b"".join(self._chunk(index, first) for index in range(self._shape.round.n))

    def piece(self, index: int, text: str) -> bytes:
        self._shown[index] = self._shown.get(index, "") + text
        return self._chunk(index, {"content": text})

    def last(self, index: int, outcome: Outcome) -> bytes:
        answer = said(outcome, self._shape.hosted)
        left = rest_of(answer.text, self._shown.get(index, ""))
        self._outcomes[index] = outcome
        scores = self._shape.logprobs(outcome)
        text = self._chunk(index, {"content": left}, logprobs=scores) if left else b""
        block = own_block(outcome, self._shape.hosted) | self._shape.number(index).get("rung", {})
        return text + self._chunk(index, {}, answer.finish, rung=block)

    def end(self) -> bytes:
        usage = b""
        if self._usage:
            once = len(set(self._shape.round.numbers)) == 1
            counted = usage_of(list(self._outcomes.values()), asked_once=once)
            usage = sse({**self._head, "choices": [], "usage": counted})
        return usage + b"data: [DONE]\n\n"

    def error(self, refusal: Refusal) -> bytes:
        return sse(refusal.envelope)

    def _chunk(
        self, index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None, **more: Any
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        record = {**self._head, "choices": [choice], **more}
        return sse(record | {"usage": None} if self._usage else record)
