"""When to ask an endpoint: how many at once, when again after a failure, and when to stop asking."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from rung.core.task import Frozen

RETRIED = frozenset({429, 500, 502, 503, 504, 529})
"""HTTP statuses that may pass by themselves."""


class Pacing(Frozen):
    """How hard an endpoint is asked."""

    concurrency: PositiveInt = 8
    """Requests at once, at most."""
    max_retries: NonNegativeInt = 4
    outage_after: PositiveInt = 5
    """Requests that fail in a row, each after its retries, before the run pauses."""
    first_wait: PositiveFloat = 0.5
    """Seconds before the first retry; doubled for each one after it."""
    longest_wait: PositiveFloat = 60.0
    """Seconds; a longer `Retry-After` is cut to it."""

    def wait(self, attempt: int, asked: float | None, draw: float) -> float:
        """Seconds before retry number `attempt` (from 0). `asked`: what the endpoint wants; `draw`: uniform in [0, 1).

        Never sooner than the endpoint asked, below the longest wait; the jitter keeps clients from coming back together.
        """
        if asked is not None:
            return min(asked, self.longest_wait) * (1 + draw / 10)
        return min(self.first_wait * 2.0 ** min(attempt, 60), self.longest_wait) * (1 + draw) / 2


def asked_wait(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the endpoint asks to wait, from `retry-after-ms` or `Retry-After` (RFC 9110, section 10.2.3), or None.

    `now` is Unix time in seconds; an HTTP date is measured from the endpoint's own `Date` header where it sends one.
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    until = _date(headers.get("retry-after", ""))
    if until is None:
        return None
    return max(0.0, until - (_date(headers.get("date", "")) or now))


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


class Gate:
    """Lets a number of requests through at once: halved when the endpoint says "too many", raised by one as it recovers."""

    def __init__(self, most: int) -> None:
        self.limit = most
        self._most = most
        self._inside = 0
        self._streak = 0
        self._halvings = 0
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[int]:
        """Wait for a place. Yields a mark to hand to `throttled`."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside < self.limit)
            self._inside += 1
            mark = self._halvings
        try:
            yield mark
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def throttled(self, mark: int) -> None:
        """Halve, once for all requests that were on their way together."""
        with self._changed:
            self._streak = 0
            if mark == self._halvings:
                self._halvings += 1
                self.limit = max(1, self.limit // 2)

    def succeeded(self) -> None:
        """After as many answers in a row as the limit, try one more at once."""
        with self._changed:
            self._streak += 1
            if self._streak >= self.limit and self.limit < self._most:
                self.limit += 1
                self._streak = 0
                self._changed.notify_all()


class Breaker:
    """Counts failures in a row. Open, it lets single attempts through until one succeeds."""

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        return self.count >= self._most

    def note(self, failed: bool) -> None:
        with self._lock:
            self.count = self.count + 1 if failed else 0
