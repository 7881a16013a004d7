"""Served answers as OpenTelemetry spans, by the conventions for generative AI; no word of anybody's unless asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rung.core.errors import UsageError
from rung.store.traffic.records import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TEXTS = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The variable by which OpenTelemetry's own instrumentations are asked for texts."""
_OPERATIONS = {"/v1/completions": "text_completion", "/v1/embeddings": "embeddings"}


class SpanSink:
    """Takes traces and sends a span for each. A collector that is away costs spans, and never an answer."""

    def __init__(self, exporter: SpanExporter, *, texts: bool = False) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes first, so the name is only given where they are silent.
        named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        # A provider of our own: the program around us may have one, and its spans are its own business.
        self._provider = TracerProvider(resource=Resource.create({} if named else {"service.name": "rung"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("rung")
        self._texts = texts

    def add(self, trace: Trace) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        attributes = attributes_of(trace, texts=self._texts)
        name = f"{attributes['gen_ai.operation.name']} {trace.candidate}"
        began = round(trace.at.timestamp() * 1e9)
        span = self._tracer.start_span(name, kind=SpanKind.SERVER, attributes=attributes, start_time=began)
        if trace.failure:
            span.set_status(Status(StatusCode.ERROR, trace.failure))
        span.end(end_time=began + timedelta(seconds=trace.seconds_total) // timedelta(microseconds=1) * 1000)

    def flush(self) -> None:
        """Send what waits."""
        self._provider.force_flush()

    def close(self) -> None:
        """Send what waits, and stop."""
        self._provider.shutdown()


def attributes_of(trace: Trace, *, texts: bool = False) -> dict[str, Any]:
    """What a span says of an answer: `gen_ai.*` by the conventions (opentelemetry.io, semantic conventions for generative AI),
    and `rung.*` for what they have no name for."""
    found: dict[str, Any] = {
        "gen_ai.operation.name": _OPERATIONS.get(trace.route, "chat"),
        "gen_ai.provider.name": "rung",
        "gen_ai.request.model": trace.candidate,
        "gen_ai.request.stream": trace.streamed,
        "gen_ai.response.id": trace.id,
        "gen_ai.response.model": trace.served_by or trace.candidate,
        "gen_ai.usage.input_tokens": trace.tokens_in,
        "gen_ai.usage.output_tokens": trace.tokens_out,
        "http.response.status_code": trace.status,
        "rung.run": trace.run,
        "rung.role": trace.role,
        "rung.tenant": trace.tenant,
        "rung.prompt_hash": trace.prompt_hash,
        "rung.passages": list(trace.passages),
        "rung.seconds.queue": trace.seconds_queue,
        "rung.seconds.engine": trace.seconds_engine,
        "rung.money": trace.money,
        "rung.cancelled": trace.cancelled,
    }
    if trace.finish:
        found["gen_ai.response.finish_reasons"] = [trace.finish]
    if trace.index:
        found["gen_ai.data_source.id"] = trace.index
    if trace.failure:
        found["error.type"] = trace.failure
    if trace.confidence is not None:
        found["rung.confidence"] = trace.confidence
    if trace.parent:
        found["rung.parent"] = trace.parent
    if texts:
        turns = [(turn.role, turn.text) for turn in trace.history] + [("user", trace.text)]
        found["gen_ai.input.messages"] = _messages(turns)
        found["gen_ai.output.messages"] = _messages([("assistant", trace.answer)], trace.finish)
    return found


def _messages(turns: Sequence[tuple[str, str]], finish: str = "") -> str:
    messages = [
        {"role": role, "parts": [{"type": "text", "content": text}], **({"finish_reason": finish} if finish else {})}
        for role, text in turns
    ]
    return json.dumps(messages)


def spans_wanted() -> bool:
    """Whether the environment names a collector."""
    return any(os.environ.get(name) for name in ENDPOINTS)


def sink_from_environment() -> SpanSink | None:
    """Spans over OTLP/HTTP, as the OTEL_* variables say; None where no collector is named.

    Raises UsageError E7063 where one is named and the packages of rung[otel] are missing or refuse what the variables say.
    """
    if not spans_wanted():
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return SpanSink(OTLPSpanExporter(), texts=os.environ.get(TEXTS, "").lower() in {"true", "1", "span_only"})
    except (ImportError, ValueError) as error:
        raise UsageError("E7063", reason=str(error)) from error
