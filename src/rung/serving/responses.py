"""POST /v1/responses, the least of it: a text or a chat in, one message out, whole or in pieces; nothing is kept for later."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rung.serving.changes import changes_of
from rung.serving.engine import Outcome
from rung.serving.held import rest_of
from rung.serving.openai_schema import ResponseBody, ignored, read
from rung.serving.questions import question_of
from rung.serving.refusals import Refusal, wrong
from rung.serving.round import Round
from rung.serving.routing import begin, picked
from rung.serving.sending import Streamed, reply, sse
from rung.serving.service import Way
from rung.serving.telling import own_block, said, usage_of


async def responses(request: Request) -> Response:
    """An answer to the input."""
    service, call, data = await begin(request, "answer")
    body = read(ResponseBody, data)
    who = picked(service, call, body)
    hosted = who.hosted
    question = question_of(
        _messages(body.input), hosted.candidate.prompt.fields, dialogue=hosted.dialogue, own=body.rung
    )
    wanted = _format(body.extras().get("text"))
    changes = changes_of(body, hosted, most=body.max_output_tokens, wanted=wanted)
    left_out = ignored(body, more=question.ignored)
    way = Way(who, question, changes, left_out, streamed=bool(body.stream), session=body.user or "")
    round = Round(service, call, way, request.receive)
    shape = _Shape(round)
    if body.stream:
        return Streamed(round, _Events(shape), left_out)
    async with round:
        (outcome,) = await round.outcomes()
        return reply(shape.finished(outcome), ignored=left_out)


def _messages(said: Any) -> list[Mapping[str, Any]]:
    if isinstance(said, str):
        return [{"role": "user", "content": said}]
    if not isinstance(said, list) or not said or len(said) > 512:
        raise wrong("The input is a text, or a list of messages.", "input")
    for item in said:
        if not isinstance(item, dict) or item.get("type", "message") != "message":
            raise wrong("Only messages can be read here.", "input", code="unsupported_content")
    return said


def _format(text: Any) -> Any:
    """The format of a response as chat completions write it."""
    wanted = text.get("format") if isinstance(text, dict) else None
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        return {"type": "json_schema", "json_schema": {"schema": wanted.get("schema")}}
    return wanted if isinstance(wanted, dict) else None


class _Shape:
    def __init__(self, round: Round) -> None:
        self.hosted = round.way.hosted
        self._number = round.call.id
        self._created = int(time.time())

    @property
    def item(self) -> str:
        return f"msg-{self._number}"

    def record(self, status: str, output: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """A response with every field that OpenAI's SDK reads."""
        return {
            "id": self._number,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "model": self.hosted.name,
            "output": output,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": False,
            "temperature": None,
            "tool_choice": "none",
            "tools": [],
            "top_p": None,
            "store": False,
            **more,
        }

    def message(self, status: str, text: str | None = None) -> dict[str, Any]:
        content = [] if text is None else [self.part(text)]
        return {"type": "message", "id": self.item, "role": "assistant", "status": status, "content": content}

    def part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def finished(self, outcome: Outcome) -> dict[str, Any]:
        answer = said(outcome, self.hosted)
        cut = answer.finish != "stop"
        reason = "max_output_tokens" if answer.finish == "length" else answer.finish
        tokens = usage_of([outcome])
        usage = {
            "input_tokens": tokens["prompt_tokens"],
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": tokens["completion_tokens"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens["total_tokens"],
        }
        status = "incomplete" if cut else "completed"
        return self.record(
            status,
            [self.message(status, answer.text)],
            usage=usage,
            incomplete_details={"reason": reason} if cut else None,
            rung=own_block(outcome, self.hosted),
        )


class _Events:
    """The events of a streamed response, numbered in order."""

    def __init__(self, shape: _Shape) -> None:
        self._shape = shape
        self._shown = ""
        self._n = -1

    def start(self) -> bytes:
        begun = self._shape.record("in_progress", [])
        return (
            self._event("response.created", response=begun)
            + self._event("response.in_progress", response=begun)
            + self._event("response.output_item.added", output_index=0, item=self._shape.message("in_progress"))
            + self._event("response.content_part.added", **self._place, part=self._shape.part(""))
        )

    def piece(self, index: int, text: str) -> bytes:
        self._shown += text
        return self._event("response.output_text.delta", **self._place, delta=text, logprobs=[])

    def last(self, index: int, outcome: Outcome) -> bytes:
        answer = said(outcome, self._shape.hosted)
        left = rest_of(answer.text, self._shown)
        record = self._shape.finished(outcome)
        item = record["output"][0]
        name = "response.completed" if record["status"] == "completed" else "response.incomplete"
        return (
            (self.piece(0, left) if left else b"")
            + self._event("response.output_text.done", **self._place, text=answer.text, logprobs=[])
            + self._event("response.content_part.done", **self._place, part=item["content"][0])
            + self._event("response.output_item.done", output_index=0, item=item)
            + self._event(name, response=record)
        )

    def end(self) -> bytes:
        return b""

    def error(self, refusal: Refusal) -> bytes:
        return self._event("error", message=refusal.message, code=refusal.code, param=refusal.param)

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._shape.item, "output_index": 0, "content_index": 0}

    def _event(self, name: str, **fields: Any) -> bytes:
        self._n += 1
        return sse({"type": name, "sequence_number": self._n, **fields}, name)
