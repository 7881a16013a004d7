"""POST /v1/completions: the older form, a prompt in place of a chat. The prompt is the question."""

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
from rung.serving.openai_schema import CompletionBody, ignored, read
from rung.serving.questions import question_of
from rung.serving.refusals import Refusal, wrong
from rung.serving.round import Round
from rung.serving.routing import begin, picked
from rung.serving.sending import Streamed, reply, sse
from rung.serving.service import Way
from rung.serving.telling import label_scores, own_block, said, usage_of


async def completions(request: Request) -> Response:
    """An answer to the prompt, whole or in pieces."""
    service, call, data = await begin(request, "answer")
    body = read(CompletionBody, data)
    who = picked(service, call, body)
    hosted = who.hosted
    message = {"role": "user", "content": _prompt(body.prompt)}
    question = question_of([message], hosted.candidate.prompt.fields, dialogue=False, own=body.rung)
    if body.logprobs is not None and not hosted.candidate.output.constrain:
        said_so = "Only a candidate that chooses among labels gives logprobs: of its labels."
        raise wrong(said_so, "logprobs", code="unsupported_value")
    changes = changes_of(body, hosted, most=body.max_tokens, stop=body.stop)
    left_out = ignored(body)
    way = Way(who, question, changes, left_out, streamed=bool(body.stream), session=body.user or "")
    round = Round(service, call, way, request.receive, n=body.n or 1)
    shape = _Shape(round, hosted, body.logprobs)
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return Streamed(round, _Chunks(shape, usage=usage), left_out)
    async with round:
        return reply(shape.whole(await round.outcomes()), ignored=left_out)


def _prompt(prompt: Any) -> str:
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    raise wrong("A prompt is one text: no tokens, and one prompt a request.", "prompt")


class _Shape:
    def __init__(self, round: Round, hosted: Hosted, scores: int | None) -> None:
        self.round = round
        self.hosted = hosted
        self._scores = scores
        self.head = {
            "id": round.call.id,
            "object": "text_completion",
            "created": int(time.time()),
            "model": hosted.name,
        }

    def whole(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        choices = []
        for index, outcome in enumerate(outcomes):
            answer = said(outcome, self.hosted)
            choices.append(self.choice(index, answer.text, answer.finish, self.logprobs(outcome)))
        usage = usage_of(outcomes, asked_once=len(set(self.round.numbers)) == 1)
        return {**self.head, "choices": choices, "usage": usage, "rung": own_block(outcomes[0], self.hosted)}

    def choice(self, index: int, text: str, finish: str | None = None, logprobs: Any = None) -> dict[str, Any]:
        return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}

    def logprobs(self, outcome: Outcome) -> dict[str, Any] | None:
        if self._scores is None:
            return None
        found = label_scores(outcome, self.hosted, self._scores)
        if not found:
            return None
        label, score = found[0]
        tops = [dict(found[: self._scores])]
        return {"tokens": [label], "token_logprobs": [score], "top_logprobs": tops, "text_offset": [0]}


class _Chunks:
    """The events of a streamed completion."""

    def __init__(self, shape: _Shape, *, usage: bool) -> None:
        self._shape = shape
        self._usage = usage
        self._shown: dict[int, str] = {}
        self._outcomes: dict[int, Outcome] = {}

    def start(self) -> bytes:
        return b""

    def piece(self, index: int, text: str) -> bytes:
        self._shown[index] = self._shown.get(index, "") + text
        return self._chunk(self._shape.choice(index, text))

    def last(self, index: int, outcome: Outcome) -> bytes:
        answer = said(outcome, self._shape.hosted)
        left = rest_of(answer.text, self._shown.get(index, ""))
        self._outcomes[index] = outcome
        choice = self._shape.choice(index, left, answer.finish, self._shape.logprobs(outcome))
        return self._chunk(choice, rung=own_block(outcome, self._shape.hosted))

    def end(self) -> bytes:
        usage = b""
        if self._usage:
            once = len(set(self._shape.round.numbers)) == 1
            counted = usage_of(list(self._outcomes.values()), asked_once=once)
            usage = sse({**self._shape.head, "choices": [], "usage": counted})
        return usage + b"data: [DONE]\n\n"

    def error(self, refusal: Refusal) -> bytes:
        return sse(refusal.envelope)

    def _chunk(self, choice: dict[str, Any], **more: Any) -> bytes:
        record = {**self._shape.head, "choices": [choice], **more}
        return sse(record | {"usage": None} if self._usage else record)
