"""What a caller wants otherwise than it was evaluated: sampling, a shorter answer, stop strings, a schema."""

from __future__ import annotations

import json
from typing import Any

from rung.serving.held import can_stream
from rung.serving.hosting import Hosted
from rung.serving.openai_schema import Body, stops
from rung.serving.refusals import wrong

_SCHEMA_CHARS, _SCHEMA_DEPTH = 16_384, 24
_HEAVY = frozenset({"pattern", "patternProperties", "$dynamicRef", "$recursiveRef"})
"""Words of JSON Schema that a stranger could make a server work for ever with."""


def changes_of(
    body: Body, hosted: Hosted, *, most: int | None, stop: str | list[str] | None = None, wanted: Any = None
) -> dict[str, Any]:
    """Fields of `Request` that differ from the evaluated one; none where the caller says nothing of them.

    `most`: tokens of an answer; a limit above the candidate's own changes nothing. `wanted`: the `response_format`. A
    candidate that chooses a label cannot be drawn or shortened.
    """
    output = hosted.candidate.output
    changes: dict[str, Any] = {}
    if most is not None and most < output.max_tokens:
        changes["max_tokens"] = most
    if found := stops(stop):
        changes["stop"] = found
    # A seed or top_p alone draws nothing.
    if body.temperature:
        changes["temperature"] = body.temperature
        if body.seed is not None:
            changes["seed"] = body.seed
        if body.top_p is not None and body.top_p < 1:
            changes["top_p"] = body.top_p
    if output.constrain or not hosted.opened.model.capabilities.language_model:
        changes = {}
    schema = schema_of(wanted, hosted)
    return changes if schema is None else {**changes, "json_schema": schema}


def schema_of(wanted: Any, hosted: Hosted) -> dict[str, Any] | None:
    """The schema that a `response_format` adds; None where the candidate answers so anyway. Raises Refusal 400."""
    if wanted is None:
        return None
    param, kind = "response_format", wanted.get("type")
    if kind == "text":
        return None
    if kind not in {"json_object", "json_schema"}:
        raise wrong("A response_format is text, json_object or json_schema.", param)
    own = hosted.candidate.output.json_schema
    if kind == "json_object":
        if own is not None:
            return None
        return _possible({"type": "object"}, hosted)
    block = wanted.get("json_schema")
    schema = block.get("schema") if isinstance(block, dict) else None
    if not isinstance(schema, dict):
        raise wrong("A response_format of type json_schema holds the schema as json_schema.schema.", param)
    if own is not None:
        if schema != own:
            raise wrong("This candidate answers by its own JSON schema, with which it was evaluated.", param)
        return None
    _light(schema)
    return _possible(schema, hosted)


def _possible(schema: dict[str, Any], hosted: Hosted) -> dict[str, Any]:
    if not can_stream(hosted.candidate.output) or not hosted.opened.model.capabilities.json_schema:
        raise wrong("What answers here cannot be held to JSON.", "response_format", code="unsupported_value")
    return schema


def _light(schema: dict[str, Any]) -> None:
    """Raises Refusal for a schema that is large, deep, refers elsewhere or holds regular expressions."""
    if len(json.dumps(schema)) > _SCHEMA_CHARS:
        raise wrong(f"The schema is longer than {_SCHEMA_CHARS} characters.", "response_format")
    level: list[Any] = [schema]
    for _ in range(_SCHEMA_DEPTH):
        inside: list[Any] = []
        for part in level:
            if isinstance(part, list):
                inside += part
            elif isinstance(part, dict):
                reference = part.get("$ref", "#")
                if part.keys() & _HEAVY or not (isinstance(reference, str) and reference.startswith("#")):
                    raise wrong(
                        "The schema may hold no regular expressions and no outside references.", "response_format"
                    )
                inside += part.values()
        level = inside
        if not level:
            return
    raise wrong(f"The schema nests deeper than {_SCHEMA_DEPTH}.", "response_format")
