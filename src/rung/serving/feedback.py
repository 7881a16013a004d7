"""POST /v1/feedback: a person's word on an answer, by the answer's id. On disk before it is acknowledged."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from rung.core.errors import DataError
from rung.serving.openai_schema import FeedbackBody, read
from rung.serving.refusals import Refusal, wrong
from rung.serving.routing import begin
from rung.serving.sending import reply
from rung.store.traffic.records import Feedback, Rating, new_id

_THUMBS: dict[str, Rating] = {"up": 1, "down": -1}


async def feedback(request: Request) -> Response:
    """Keep a rating, a correction or a comment. An answer of another tenant is as unknown as one that never was."""
    service, call, data = await begin(request, "feedback")
    body = read(FeedbackBody, data)
    if body.rating is None and body.thumbs is None and not body.corrected and not body.comment:
        raise wrong("Feedback holds a rating (-1, 0, 1), thumbs (up, down), a corrected answer or a comment.")
    if service.traces is None:
        raise Refusal(404, "This server keeps no answers, and no word on them.", code="not_found")
    rating: Rating = _THUMBS[body.thumbs] if body.thumbs else body.rating or 0  # type: ignore[assignment]
    said = Feedback(
        id=new_id("fb"),
        trace=body.id,
        at=datetime.now(UTC),
        key=call.key.id,
        tenant=call.key.tenant,
        rating=rating,
        corrected=body.corrected.replace("\0", ""),
        comment=body.comment.replace("\0", ""),
        consent=body.consent,
    )
    try:
        await asyncio.to_thread(service.traces.add_feedback, said)
    except DataError as error:
        raise Refusal(404, "There is no answer with this id.", param="id", code="not_found") from error
    return reply({"id": said.id, "object": "feedback", "trace": said.trace}, status=201)
