"""What callers may send, as OpenAI's API has it: fields with their limits, fields that are refused, fields that are not heeded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rung.serving.refusals import Refusal, wrong

CHOICES = 8
"""Answers to one question, at most."""
MESSAGES = 512
INPUTS = 256
"""Texts of one embeddings request, at most."""

_FIELDS = json.loads(Path(__file__).with_name("fields.json").read_text("utf-8"))
REFUSED = frozenset(_FIELDS["refused"])
"""They would change what the model is shown or held to, so the answer would not be what was proved."""
_HARMLESS: dict[str, tuple[Any, ...]] = {"modalities": (["text"],), "best_of": (1,), "function_call": ("none",)}
NOT_HEEDED = frozenset(_FIELDS["not_heeded"])
"""Harmless, but the answer is not what they ask for: named in the header `x-rung-ignored` where they say something."""

Stop = Annotated[str, Field(min_length=1, max_length=256)]
Name = Annotated[str, Field(max_length=256)]
Tokens = Annotated[int, Field(ge=1, le=10_000_000)]


class Own(BaseModel):
    """Rung's own block: the input fields by name, and whether this exchange may be used for training."""

    model_config = ConfigDict(extra="ignore")
    inputs: dict[str, str] | None = Field(default=None, max_length=64)
    consent: bool = False


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    include_usage: bool | None = None


class Body(BaseModel):
    """What the answering routes share."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    model: Name | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    rung: Own | None = None

    def extras(self) -> Mapping[str, Any]:
        return self.model_extra or {}


class ChatBody(Body):
    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MESSAGES)]
    n: Annotated[int, Field(ge=1, le=CHOICES)] | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    response_format: dict[str, Any] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class CompletionBody(Body):
    prompt: Any = None
    n: Annotated[int, Field(ge=1, le=CHOICES)] | None = None
    max_tokens: Tokens | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class ResponseBody(Body):
    input: Any = None
    instructions: Any = None
    max_output_tokens: Tokens | None = None


class EmbeddingBody(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())
    model: Name | None = None
    input: Any = None
    encoding_format: Name | None = None
    dimensions: Tokens | None = None


class FeedbackBody(BaseModel):
    """A person's word on an answer: `id` is the answer's."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    id: Annotated[str, Field(min_length=1, max_length=64)]
    rating: Annotated[int, Field(ge=-1, le=1)] | None = None
    thumbs: Annotated[str, Field(pattern="^(up|down)$")] | None = None
    corrected: Annotated[str, Field(max_length=20_000)] = ""
    comment: Annotated[str, Field(max_length=20_000)] = ""
    consent: bool = False


B = TypeVar("B", bound=BaseModel)


def read(kind: type[B], data: bytes) -> B:
    """The body as a record. Raises Refusal with the first mistake, its field as `param`; what was sent is not repeated."""
    try:
        body = kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise wrong("The body is not JSON, or nests too deep.", code="invalid_json") from None
        field = next((part for part in first["loc"] if isinstance(part, str)), None)
        raise wrong(f"{field or 'The body'}: {first['msg']}.", field) from None
    if isinstance(body, Body):
        _refuse(body.extras())
    return body


def _refuse(extras: Mapping[str, Any]) -> None:
    for name in extras.keys() & REFUSED:
        value = extras[name]
        if _says_something(value) and value not in _HARMLESS.get(name, ()):
            said = f"'{name}' is not taken here: the answer would not be what was evaluated."
            raise wrong(said, name, code="unsupported_parameter")


def ignored(body: Body, *, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of what the caller asked for and does not get, sorted."""
    extras = body.extras()
    named = {name for name in extras.keys() & NOT_HEEDED if _says_something(extras[name])}
    return tuple(sorted(named | set(more)))


def _says_something(value: Any) -> bool:
    return value is not None and value is not False and value not in ([], {}, "", 0, "none", "auto", "default")


def text_of(content: Any, param: str) -> str:
    """A message's content as text: a string, or parts that are all text."""
    if isinstance(content, str):
        parts = [content]
    elif isinstance(content, list) and content:
        parts = [_part(part, param) for part in content]
    else:
        raise wrong("A message's content is text, or a list of text parts.", param)
    text = "\n".join(parts)
    if "\0" in text:
        raise wrong("A text may not hold the character NUL.", param)
    return text


def _part(part: Any, param: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in {"text", "input_text", "output_text"} and isinstance(part.get("text"), str):
        return str(part["text"])
    raise wrong("Only text can be read here: no images, sound or files.", param, code="unsupported_content")


def stops(stop: str | list[str] | None) -> tuple[str, ...]:
    return () if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)


def finite(value: float) -> float | None:
    """A number that JSON can hold; None for any other."""
    return value if math.isfinite(value) else None


def unknown_model(name: str) -> Refusal:
    return Refusal(404, f"There is no model '{name[:100]}' here.", code="model_not_found", param="model")
