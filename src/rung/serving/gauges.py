"""What /metrics shows, in Prometheus' text format. No label names a key, a tenant or a text."""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable, of prometheus_client, that names a folder where several processes add their numbers up."""

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Gauges:
    """The server's own numbers; of several processes their sum. `more`: texts in the same format, such as drift alarms."""

    def __init__(self) -> None:
        self._shared = os.environ.get(SHARED)
        self._watched: list[tuple[Gauge, Callable[[], float]]] = []
        self._registry = CollectorRegistry()
        self.more: list[Callable[[], str]] = []
        self._requests: dict[tuple[str, int], Counter] = {}
        self.requests = self._counter("rung_requests", "HTTP requests by route and status", "route", "status")
        self.failures = self._counter("rung_answer_failures", "Answers that failed, by kind of failure", "kind")
        self.refused = self._counter("rung_refused", "Requests turned away, by reason", "reason")
        self.tokens = self._counter("rung_tokens", "Tokens read and written", "direction")
        self.answers = self._counter("rung_answers", "Answers by role of what answered", "role")
        self.seconds = self._histogram("rung_answer_seconds", "From the request to the whole answer", "route")
        self.queued = self._histogram("rung_queue_seconds", "From the request until an engine took it")

    def count_request(self, route: str, status: int) -> None:
        child = self._requests.get((route, status))
        if child is None:
            child = self._requests[route, status] = self.requests.labels(route, str(status))
        child.inc()

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """A gauge that is read when somebody looks; of several processes, every second besides."""
        gauge = Gauge(name, about, registry=self._registry, multiprocess_mode="livesum")
        if self._shared:
            self._watched.append((gauge, value))
        else:
            gauge.set_function(value)

    def refresh(self) -> None:
        """Let the other processes see this one's gauges."""
        for gauge, value in self._watched:
            gauge.set(value())

    def text(self) -> bytes:
        registry = self._registry
        if self._shared:
            self.refresh()
            registry = CollectorRegistry()
            MultiProcessCollector(registry, self._shared)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + "".join(part() for part in self.more).encode()

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self._registry)

    def _histogram(self, name: str, about: str, *labels: str) -> Histogram:
        return Histogram(name, about, labels, buckets=_SECONDS, registry=self._registry)
