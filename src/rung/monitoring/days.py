"""Traffic day by day, in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np

from rung.store.traffic.records import Feedback, Trace
from rung.store.watch import Day


@dataclass
class _Counts:
    answers: int = 0
    failures: int = 0
    cancelled: int = 0
    tokens: int = 0
    money: float = 0.0
    up: int = 0
    down: int = 0
    seconds: list[float] = field(default_factory=list)


class Days:
    """Every day from the first to the last, the empty ones too."""

    def __init__(self, since: datetime, until: datetime) -> None:
        last = max(since, until - timedelta(microseconds=1)).date()
        count = (last - since.date()).days + 1
        self._days: dict[date, _Counts] = {since.date() + timedelta(days=n): _Counts() for n in range(count)}

    def add(self, trace: Trace) -> None:
        day = self._days.get(trace.at.date())
        if day is None:
            return
        if trace.cancelled:
            day.cancelled += 1
            return
        day.answers += 1
        day.failures += bool(trace.failure)
        day.tokens += trace.tokens_in + trace.tokens_out
        day.money += trace.money
        if not trace.failure:
            day.seconds.append(trace.seconds_total)

    def add_word(self, word: Feedback) -> None:
        day = self._days.get(word.at.date())
        if day is not None:
            day.up += word.rating > 0
            day.down += word.rating < 0

    def done(self) -> tuple[Day, ...]:
        return tuple(_day(day, counts) for day, counts in self._days.items())


def _day(day: date, counts: _Counts) -> Day:
    middle, slow = (float(np.quantile(counts.seconds, q)) if counts.seconds else None for q in (0.5, 0.95))
    return Day(
        day=day.isoformat(),
        answers=counts.answers,
        failures=counts.failures,
        cancelled=counts.cancelled,
        latency_p50=middle,
        latency_p95=slow,
        tokens=counts.tokens,
        money=counts.money,
        up=counts.up,
        down=counts.down,
    )
