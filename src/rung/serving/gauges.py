"""What /metrics shows, in Prometheus' text format. No label names a key, a tenant or a text."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Gauges:
    """The server's own numbers. `more`: texts in the same format from elsewhere, such as drift alarms."""

    def __init__(self) -> None:
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
        """A gauge that is read when somebody looks."""
        Gauge(name, about, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        return generate_latest(self._registry) + "".join(part() for part in self.more).encode()

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self._registry)

    def _histogram(self, name: str, about: str, *labels: str) -> Histogram:
        return Histogram(name, about, labels, buckets=_SECONDS, registry=self._registry)
