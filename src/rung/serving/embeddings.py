"""POST /v1/embeddings: vectors by the candidate's own sentence encoder, or the usual one."""

from __future__ import annotations

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rung.serving.openai_schema import INPUTS, EmbeddingBody, read
from rung.serving.refusals import wrong
from rung.serving.routing import begin
from rung.serving.sending import reply

_LONGEST = 100_000
"""Characters of one text; the encoder reads its own number of tokens of it."""


async def embeddings(request: Request) -> Response:
    """One vector of length 1 for every text, in order, as numbers or base64 of little-endian float32."""
    service, call, data = await begin(request, "answer")
    body = read(EmbeddingBody, data)
    texts = _texts(body.input)
    form = body.encoding_format or "float"
    if form not in {"float", "base64"}:
        raise wrong("An encoding_format is float or base64.", "encoding_format")
    await service.admit(call.key)
    try:
        vectors = await service.embed(texts)
    finally:
        service.dismiss(call.key)
    width = vectors.shape[1]
    if body.dimensions is not None and body.dimensions != width:
        raise wrong(f"This encoder's vectors have {width} numbers, and are not cut.", "dimensions")
    rows = [
        base64.b64encode(row.astype("<f4").tobytes()).decode() if form == "base64" else [float(x) for x in row]
        for row in vectors
    ]
    found = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
    # The encoder does not say what it read; words are near enough to tokens for a bill that nobody sends.
    read_tokens = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": read_tokens, "total_tokens": read_tokens}
    return reply({"object": "list", "data": found, "model": service.encoder.id, "usage": usage})


def _texts(given: Any) -> list[str]:
    items = [given] if isinstance(given, str) else given
    if not isinstance(items, list) or not items:
        raise wrong("The input is a text, or a list of texts.", "input")
    if isinstance(items[0], int | list):
        said = (
            "The input holds tokens of another model's tokenizer, which cannot be read here. Send texts: "
            "in langchain-openai, OpenAIEmbeddings(check_embedding_ctx_length=False)."
        )
        raise wrong(said, "input", code="unsupported_content")
    if len(items) > INPUTS:
        raise wrong(f"At most {INPUTS} texts a request.", "input")
    if not all(isinstance(item, str) and item.strip() and len(item) <= _LONGEST for item in items):
        raise wrong(f"Every text has between 1 and {_LONGEST} characters.", "input")
    return items
