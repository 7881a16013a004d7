"""Answers as OpenTelemetry spans: their names and numbers, no texts unless asked for, and a collector that is really there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from traffic_store import START, a_trace

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed (rung[otel])")

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rung.core.errors import UsageError
from rung.core.task import Turn
from rung.monitoring.spans import ENDPOINTS, TEXTS, SpanSink, sink_from_environment
from rung.store.traffic.records import Trace

SECRET = "canary of a user"


def a_full_trace(**changes: object) -> Trace:
    return a_trace(
        inputs={"question": SECRET},
        history=(Turn("assistant", SECRET),),
        answer=SECRET,
        raw=SECRET,
        seconds_total=1.5,
        seconds_queue=0.5,
        finish="stop",
        index="abc@3",
        passages=("a.md#1",),
        served_by="smollm2",
        streamed=True,
        **changes,
    )


def sent(trace: Trace, *, texts: bool = False) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    sink = SpanSink(exporter, texts=texts)
    sink.add(trace)
    sink.close()
    (span,) = exporter.get_finished_spans()
    return span


def test_a_span_has_the_conventions_names_and_the_traces_times() -> None:
    trace = a_full_trace()
    span = sent(trace)
    assert span.name == "chat prompt-1"
    assert span.kind.name == "SERVER"
    assert span.start_time == round(START.timestamp() * 1e9)
    assert span.end_time == span.start_time + 1_500_000_000
    assert span.resource.attributes["service.name"] == "rung"
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "rung",
        "gen_ai.request.model": "prompt-1",
        "gen_ai.request.stream": True,
        "gen_ai.response.id": trace.id,
        "gen_ai.response.model": "smollm2",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.data_source.id": "abc@3",
        "rung.passages": ("a.md#1",),
        "rung.seconds.queue": 0.5,
    }
    assert span.attributes is not None
    assert expected.items() <= dict(span.attributes).items()
    assert span.status.is_ok or span.status.is_unset


def test_every_name_is_one_of_the_conventions_or_ours() -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    used = {name for name in sent(a_full_trace(), texts=True).attributes or {} if name.startswith("gen_ai.")}
    assert used
    assert used <= known


def test_no_word_of_a_user_leaves_unless_asked() -> None:
    assert SECRET not in sent(a_full_trace()).to_json()
    said = sent(a_full_trace(), texts=True).attributes or {}
    assert SECRET in str(said["gen_ai.input.messages"])
    assert '"role": "assistant"' in str(said["gen_ai.output.messages"])


def test_a_failure_is_an_error_of_its_kind() -> None:
    span = sent(a_full_trace(failure="timeout", status=504))
    assert span.attributes is not None
    assert span.attributes["error.type"] == "timeout"
    assert not span.status.is_ok
    assert span.status.status_code.name == "ERROR"


@pytest.mark.parametrize(
    ("route", "operation"), [("/v1/completions", "text_completion"), ("/v1/embeddings", "embeddings")]
)
def test_an_operation_is_told_by_its_route(route: str, operation: str) -> None:
    assert sent(a_full_trace(route=route)).name == f"{operation} prompt-1"


class Collector:
    """An OTLP receiver on loopback that keeps what it is sent."""

    def __init__(self) -> None:
        received: list[tuple[str, bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.received = received
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*ENDPOINTS, TEXTS, "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_spans_reach_the_collector_that_the_environment_names(
    collector: Collector, environment: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the exporter is not installed (rung[otel])")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address)
    sink = sink_from_environment()
    assert sink is not None
    traces = [a_full_trace(), a_full_trace()]
    for trace in traces:
        sink.add(trace)
    sink.close()
    assert {path for path, _ in collector.received} == {"/v1/traces"}
    spans = []
    for _, body in collector.received:
        assert SECRET.encode() not in body
        request = ExportTraceServiceRequest.FromString(body)
        spans += [span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]
    ids = {a.value.string_value for span in spans for a in span.attributes if a.key == "gen_ai.response.id"}
    assert ids == {trace.id for trace in traces}


def test_without_a_collector_there_is_no_sink(environment: pytest.MonkeyPatch) -> None:
    assert sink_from_environment() is None


def test_a_collector_without_the_packages_is_a_mistake_that_says_what_to_do(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    environment.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)  # type: ignore[arg-type]
    with pytest.raises(UsageError) as refused:
        sink_from_environment()
    assert refused.value.code == "E7063"
    assert "rung[otel]" in str(refused.value)
