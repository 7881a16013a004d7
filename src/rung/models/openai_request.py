"""What is sent to an OpenAI-compatible endpoint, and the options that decide it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, ValidationError

from rung.core.errors import BackendError, Problem
from rung.core.model import Completion, Request
from rung.core.task import Frozen
from rung.models.pacing import Pacing
from rung.models.timed_network import Deadlines


class Prices(Frozen):
    """What a million tokens cost, in the currency of task.yaml."""

    input: NonNegativeFloat = 0.0
    output: NonNegativeFloat = 0.0

    def of(self, completion: Completion) -> float:
        return (completion.tokens_in * self.input + completion.tokens_out * self.output) / 1e6


class Options(Frozen):
    """How to reach and ask an endpoint. Written into the model's record, so that it can be opened again; holds no key."""

    base_url: str
    """`http(s)://host[:port][/path]`; `/v1` is added to a bare host."""
    api_key_env: str = ""
    """Name of the environment variable that holds the key; '' where none is needed."""
    context_tokens: NonNegativeInt = 0
    limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Name of the field for the longest answer; it differs between endpoints."""
    body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the request; None takes a field out."""
    prices: Prices = Prices()
    deadlines: Deadlines = Deadlines()
    pacing: Pacing = Pacing()


def check_options(options: Mapping[str, Any]) -> Options:
    """Raises BackendError E3106 with every mistake at once."""
    try:
        return Options.model_validate(options)
    except ValidationError as error:
        problems = [
            Problem("E3106", ".".join(str(part) for part in mistake["loc"]), {"reason": mistake["msg"]})
            for mistake in error.errors(include_input=False, include_url=False)
        ]
        raise BackendError("E3106", problems=problems) from None


def write_request(request: Request, model: str, options: Options, *, pieces: bool = False) -> bytes:
    """The request's body, for an answer in `pieces` or whole. Pure ASCII, so that half a surrogate pair in a user's text cannot stop it here."""
    fields: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.text} for message in request.messages],
        "temperature": request.temperature,
        # Endpoints hold seeds in 32 bits.
        "seed": request.seed % (1 << 31),
        options.limit_field: request.max_tokens,
        "stream": pieces,
    }
    if pieces:
        # Without it most endpoints do not say what a streamed answer took.
        fields["stream_options"] = {"include_usage": True}
    if request.top_p != 1.0:
        fields["top_p"] = request.top_p
    if request.stop:
        fields["stop"] = list(request.stop)
    if request.json_schema is not None:
        schema = {"name": "answer", "schema": request.json_schema, "strict": is_closed(request.json_schema)}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    fields |= options.body
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode("ascii")


def is_closed(schema: Any) -> bool:
    """Whether every object of a JSON schema requires all its fields and allows no others: what strict mode takes."""
    if isinstance(schema, list):
        return all(is_closed(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        fields = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(fields):
            return False
    return all(is_closed(part) for part in schema.values())


def rough_tokens(text: str) -> int:
    """Tokens of a text, estimated: four ASCII characters, or one of any other script, are about one token."""
    plain = sum(mark.isascii() for mark in text)
    return math.ceil(plain / 4) + len(text) - plain
